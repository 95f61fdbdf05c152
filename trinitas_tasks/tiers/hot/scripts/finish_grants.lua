#!lua flags=allow-oom
-- Changed grants that the archive has leave the queue, where nothing changed them since. Where only marks are left
-- they stay for a while, against a late worker that has read older grants from the archive.
-- KEYS: granting
-- ARGV: grants prefix, mark_ms, then for each: member, the highest version that the archive has
for i = 3, #ARGV, 2 do
  local highest, live = 0, false
  for _, version in ipairs(redis.call('HVALS', ARGV[1] .. ARGV[i])) do
    highest = math.max(highest, math.abs(tonumber(version)))
    live = live or tonumber(version) > 0
  end
  if highest <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    if not live then redis.call('PEXPIRE', ARGV[1] .. ARGV[i], ARGV[2]) end
  end
end
