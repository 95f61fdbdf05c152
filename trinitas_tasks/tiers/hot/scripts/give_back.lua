#!lua flags=allow-oom
-- What was claimed and not finished is due again after a while, where the claimed version still stands and waits.
-- KEYS: outbox, graves
-- ARGV: record prefix, delay_ms, then for each: member, version
local time = redis.call('TIME')
local due_ms = math.floor((time[1] * 1000000 + time[2]) / 1000) + ARGV[2]
for i = 3, #ARGV, 2 do
  local f = redis.call('HMGET', ARGV[1] .. ARGV[i], 'v', 'g')
  if f[1] == ARGV[i + 1] then
    redis.call('ZADD', f[2] and KEYS[2] or KEYS[1], 'XX', due_ms, ARGV[i])
  end
end
