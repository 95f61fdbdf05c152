#!lua flags=allow-oom
-- The archive has these versions: their copies may leave.
-- KEYS: leaving
-- ARGV: record prefix, then for each: member, version
for i = 2, #ARGV, 2 do
  if redis.call('HGET', ARGV[1] .. ARGV[i], 'v') == ARGV[i + 1] then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
