-- Keep copies of archived records where nothing stands in their place. Copies need no durability;
-- a server out of memory keeps none.
-- KEYS: the records
-- ARGV: for each: body, version, access count, last access in us, seconds
redis.set_repl(redis.REPL_NONE)
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
for i = 1, #KEYS do
  local body, version, count, last, ttl = unpack(ARGV, i * 5 - 4, i * 5)
  if redis.call('HEXISTS', KEYS[i], 'v') == 0 then
    local kept = redis.pcall('HSET', KEYS[i], 'b', body, 'v', version, 'c', count, 'a', last,
      'x', string.format('%.0f', now_ms + ttl * 1000))
    if type(kept) ~= 'number' then return end
    redis.call('EXPIRE', KEYS[i], ttl)
  end
end
