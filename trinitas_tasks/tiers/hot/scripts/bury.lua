#!lua flags=allow-oom
-- The tiers below have deleted these: take the graves away. The mark stays for a while, so that neither a repeated
-- write within the dedup window nor a late copy from the archive brings a forgotten memory back.
-- KEYS: graves
-- ARGV: record prefix, mark_ms, then for each: member, version
for i = 3, #ARGV, 2 do
  local record = ARGV[1] .. ARGV[i]
  local f = redis.call('HMGET', record, 'v', 'g')
  if f[2] and f[1] == ARGV[i + 1] then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('PEXPIRE', record, ARGV[2])
  end
end
