#!lua flags=allow-oom
-- Lease changed grants, oldest first. Takes the nudge away: who changes any from now on nudges again.
-- KEYS: granting, nudge
-- ARGV: limit, lease_ms, grants prefix
-- Returns: for each {member, {grantee, version (negative: revoked), ..}}
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
redis.call('DEL', KEYS[2])
local claimed = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[1])) do
  local marks = redis.call('HGETALL', ARGV[3] .. member)
  if #marks > 0 then
    redis.call('ZADD', KEYS[1], now_ms + ARGV[2], member)
    claimed[#claimed + 1] = {member, marks}
  else
    redis.call('ZREM', KEYS[1], member)  -- somebody deleted them by hand
  end
end
return claimed
