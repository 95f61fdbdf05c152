#!lua flags=allow-oom
-- What the copies take. Where they were given more room before, the least worth go.
-- ARGV: space (the namespace and a colon), limit (bytes)
-- Returns: how many, bytes, how many were evicted
local space, limit = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
-- include _books
-- include _worth
-- include _room
audited(1000)
while (tonumber(redis.call('HGET', copies, 'bytes')) or 0) > limit do
  local least = redis.call('ZRANGE', worth, 0, 0, 'WITHSCORES')
  if #least == 0 then break end
  quietly('HSET', copies, 'age', least[2])
  evicted(least[1])
end
local f = redis.call('HMGET', copies, 'bytes', 'evicted')
return {redis.call('HLEN', sizes), tonumber(f[1]) or 0, tonumber(f[2]) or 0}
