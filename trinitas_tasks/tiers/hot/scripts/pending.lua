-- A persona's newest records that are not archived yet.
-- KEYS: pending
-- ARGV: limit, record prefix of the persona
-- Returns: for each {body, version}
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1)) do
  local f = redis.call('HMGET', ARGV[2] .. id, 'b', 'v')
  if f[1] then found[#found + 1] = f end
end
return found
