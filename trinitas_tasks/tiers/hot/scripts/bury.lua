#!lua flags=allow-oom
-- The tiers below have deleted these: take the graves away. The mark stays for a while, so that neither a repeated
-- write within the dedup window nor a late copy from the archive brings a forgotten memory back. It goes at once
-- where the archive holds a newer memory, which can be found again then.
-- KEYS: graves
-- ARGV: record prefix, generation prefix, then for each: persona, id, version, mark_ms (0: goes at once)
for i = 3, #ARGV, 4 do
  local persona, version, mark_ms = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local member = persona .. ':' .. ARGV[i + 1]
  local record = ARGV[1] .. member
  local f = redis.call('HMGET', record, 'v', 'g')
  if f[2] and f[1] == version then
    redis.call('ZREM', KEYS[1], member)
    redis.call('PEXPIRE', record, mark_ms)  -- 0 deletes
    if mark_ms == '0' then redis.call('INCR', ARGV[2] .. persona) end
  end
end
