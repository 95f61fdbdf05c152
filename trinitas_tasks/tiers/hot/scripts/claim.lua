#!lua flags=allow-oom
-- Lease what is due in a queue (the outbox or the graves), oldest first. Takes the nudge away: who writes
-- from now on nudges again.
-- KEYS: queue, nudge
-- ARGV: limit, lease_ms, record prefix, bytes (a batch of large memories ends early)
-- Returns: for each {member, version, body or ''}
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
redis.call('DEL', KEYS[2])
local claimed, bytes = {}, 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[1])) do
  local record = ARGV[3] .. member
  local f = redis.call('HMGET', record, 'v', 'b')
  if f[1] then
    redis.call('ZADD', KEYS[1], now_ms + ARGV[2], member)
    claimed[#claimed + 1] = {member, f[1], f[2] or ''}
    bytes = bytes + #claimed[#claimed][3]
    if bytes > tonumber(ARGV[4]) then break end
  else
    redis.call('ZREM', KEYS[1], member)  -- somebody deleted the record by hand
  end
end
return claimed
