#!lua flags=allow-oom
-- What stands under these versions is to be archived (a record) or erased (a mark) again.
-- KEYS: outbox, graves
-- ARGV: space (the namespace and a colon), then for each: persona, id, version, its place among the persona's times
local space = ARGV[1]
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
-- include _books
for i = 2, #ARGV, 4 do
  local persona, id, version, place = unpack(ARGV, i, i + 3)
  local member = persona .. ':' .. id
  local record = space .. 'rec:' .. member
  local f = redis.call('HMGET', record, 'v', 'g')
  if f[1] == version then
    redis.call('PERSIST', record)
    if f[2] then
      redis.call('ZADD', KEYS[2], now_ms, member)
    else
      struck(member)
      redis.call('ZREM', space .. 'leaving', member)
      redis.call('HDEL', record, 'x', 's', 'q')
      -- written once more, whole: of a refilled copy the append-only file has nothing, and now it is the only one
      redis.call('HSET', record, unpack(redis.call('HGETALL', record)))
      redis.call('ZADD', KEYS[1], now_ms, member)
      redis.call('ZADD', space .. 'pending:' .. persona, now_ms, id)
      if place ~= '' then
        redis.call('HSET', record, 't', place)
        redis.call('ZADD', space .. 'times:' .. persona, 0, place .. id)
      end
      redis.call('INCR', space .. 'gen:' .. persona)
    end
  end
end
