#!lua flags=no-writes
-- A persona's records that are not archived yet, in the order of their times.
-- KEYS: times
-- ARGV: low, high (both as ZRANGEBYLEX takes them), '1' for the newest first, limit, record prefix of the persona,
--       how many characters of a member are its place, bytes: behind the record that makes them more it ends
-- Returns: 1 if there may be more, then for each {member, body, version, access count, last access in us}
local times, low, high, reversed, limit, prefix, width, bytes = KEYS[1], unpack(ARGV)
local found = reversed == '1' and redis.call('ZREVRANGEBYLEX', times, high, low, 'LIMIT', 0, limit)
  or redis.call('ZRANGEBYLEX', times, low, high, 'LIMIT', 0, limit)
local rows = {#found == tonumber(limit) and 1 or 0}
for i, member in ipairs(found) do
  local f = redis.call('HMGET', prefix .. string.sub(member, width + 1), 'b', 'v', 'c', 'a')
  rows[i + 1] = {member, f[1] or '', f[2] or '0', tonumber(f[3]) or 0, f[4]}
  bytes = bytes - #rows[i + 1][2]
  if bytes < 0 and i < #found then
    rows[1] = 1
    break
  end
end
return rows
