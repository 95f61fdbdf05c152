#!lua flags=allow-oom
-- Take counted accesses.
-- KEYS: dirty
-- ARGV: limit, record prefix
-- Returns: for each {member, count, last access in us}
redis.set_repl(redis.REPL_NONE)
local taken = {}
for _, member in ipairs(redis.call('SPOP', KEYS[1], ARGV[1])) do
  local record = ARGV[2] .. member
  local f = redis.call('HMGET', record, 'n', 'a', 'c')
  if f[1] and f[2] then
    redis.call('HSET', record, 'c', string.format('%.0f', (tonumber(f[3]) or 0) + tonumber(f[1])))
    redis.call('HDEL', record, 'n')
    taken[#taken + 1] = {member, f[1], f[2]}
  end
end
return taken
