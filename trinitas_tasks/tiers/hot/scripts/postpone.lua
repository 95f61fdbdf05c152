#!lua flags=allow-oom
-- Signals leave the batch and wait for a later one; those that are not in it did so before.
-- KEYS: batch of signals, signals
-- ARGV: for each: member, by, what is said, when (us)
local asked = {}
for i = 1, #ARGV, 4 do asked[table.concat(ARGV, ' ', i, i + 3)] = true end
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if asked[string.match(entry, '^%S+ (.*)$')] then
    redis.call('LREM', KEYS[1], 1, entry)
    redis.call('RPUSH', KEYS[2], entry)
  end
end
