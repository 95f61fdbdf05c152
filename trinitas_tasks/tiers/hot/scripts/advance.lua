#!lua flags=allow-oom
-- Versions from now on are greater.
-- KEYS: clock
-- ARGV: version
if (tonumber(redis.call('GET', KEYS[1])) or 0) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
