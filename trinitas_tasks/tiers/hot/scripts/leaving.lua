#!lua flags=allow-oom
-- Copies that were archived here and leave soon, the first of them first. What is no such copy any more goes from the
-- list, and where reads have given it more time that is noted.
-- KEYS: leaving, outbox
-- ARGV: record prefix, milliseconds, limit
-- Returns: for each {member, version, queued (0 or 1)}
local leaving, prefix, limit = KEYS[1], ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
local by_ms = now_ms + tonumber(ARGV[2])
local found = {}
while #found < limit do
  local some = redis.call('ZRANGEBYSCORE', leaving, '-inf', by_ms, 'LIMIT', #found, limit)
  if #some == 0 then break end
  for _, member in ipairs(some) do
    local f = redis.call('HMGET', prefix .. member, 'v', 'g', 'x')
    local ends_ms = tonumber(f[3])
    if not f[1] or f[2] or not ends_ms or ends_ms <= now_ms then
      redis.call('ZREM', leaving, member)
    elseif ends_ms > by_ms then
      redis.call('ZADD', leaving, f[3], member)
    elseif #found < limit then
      found[#found + 1] = {member, f[1], redis.call('ZSCORE', KEYS[2], member) and 1 or 0}
    end
  end
end
return found
