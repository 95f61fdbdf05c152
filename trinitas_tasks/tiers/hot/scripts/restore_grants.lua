#!lua flags=allow-oom
-- Take over grants and marks from the archive, where nothing newer stands here.
-- KEYS: granting, clock
-- ARGV: grants prefix, record prefix, granted prefix, lent prefix, generation prefix,
--       then for each: owner, id, grantee, version (negative: revoked)
local time = redis.call('TIME')
local now_ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
local granted, lent, generation = ARGV[3], ARGV[4], ARGV[5]

local function end_grant(grants, owner, id, grantee, version)
  local was = tonumber(redis.call('HGET', grants, grantee)) or 0
  redis.call('HSET', grants, grantee, version)
  if was > 0 then
    redis.call('ZREM', granted .. grantee, owner .. ':' .. id)
    redis.call('ZREM', lent .. grantee, id .. ' ' .. owner)
    redis.call('INCR', generation .. grantee)
  end
end

local function grant(grants, owner, id, grantee, version)
  redis.call('HSET', grants, grantee, version)
  redis.call('ZADD', granted .. grantee, version, owner .. ':' .. id)
  redis.call('ZADD', lent .. grantee, 0, id .. ' ' .. owner)
  redis.call('INCR', generation .. grantee)
end

for i = 6, #ARGV, 4 do
  local owner, id, grantee, version = unpack(ARGV, i, i + 3)
  local member = owner .. ':' .. id
  local grants, told = ARGV[1] .. member, tonumber(version)
  local f = redis.call('HMGET', grants, grantee, '*')
  local here, everybody = tonumber(f[1]) or 0, math.abs(tonumber(f[2]) or 0)
  local mark = redis.call('HMGET', ARGV[2] .. member, 'v', 'g')
  local forgotten = mark[2] and tonumber(mark[1]) or 0
  local newer = math.abs(told) > math.abs(here)
  if newer and told < 0 then
    if grantee == '*' then
      local marks = redis.call('HGETALL', grants)
      for j = 1, #marks, 2 do
        local standing = tonumber(marks[j + 1])
        if standing > 0 and standing < -told then end_grant(grants, owner, id, marks[j], version) end
      end
    end
    end_grant(grants, owner, id, grantee, version)
  elseif newer and told > math.max(everybody, forgotten) then
    grant(grants, owner, id, grantee, version)
  elseif told > 0 and told == here then  -- known: also to those who look for it
    redis.call('ZADD', granted .. grantee, version, member)
    redis.call('ZADD', lent .. grantee, 0, id .. ' ' .. owner)
    newer = false
  else
    newer = false
  end
  if newer then
    redis.call('PERSIST', grants)
    redis.call('ZADD', KEYS[1], now_ms, member)
    if (tonumber(redis.call('GET', KEYS[2])) or 0) < math.abs(told) then
      redis.call('SET', KEYS[2], string.format('%.0f', math.abs(told)))
    end
  end
end
