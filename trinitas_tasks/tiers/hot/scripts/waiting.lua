#!lua flags=no-writes
-- A persona's records that are not archived yet, in the order of their times.
-- KEYS: times
-- ARGV: low, high (both as ZRANGEBYLEX takes them), '1' for the newest first, limit, record prefix of the persona,
--       how many characters of a member are its place
-- Returns: for each {member, body, version, access count, last access in us}
local times, low, high, reversed, limit, prefix, width = KEYS[1], unpack(ARGV)
local found = reversed == '1' and redis.call('ZREVRANGEBYLEX', times, high, low, 'LIMIT', 0, limit)
  or redis.call('ZRANGEBYLEX', times, low, high, 'LIMIT', 0, limit)
local rows = {}
for i, member in ipairs(found) do
  local f = redis.call('HMGET', prefix .. string.sub(member, width + 1), 'b', 'v', 'c', 'a')
  rows[i] = {member, f[1] or '', f[2] or '0', tonumber(f[3]) or 0, f[4]}
end
return rows
