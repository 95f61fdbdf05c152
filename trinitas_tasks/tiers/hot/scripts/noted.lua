#!lua flags=allow-oom
-- The batch of what was noted: the one that is not settled, or a new one. All this is durable, also what is counted
-- without an fsync while it is read: a batch that comes back after a crash is the same, and nothing is in two.
-- KEYS: batch, signals, trails, uses, used, clock
-- ARGV: space (the namespace and a colon), limit
-- Returns: its number ('0': there is nothing), {member, count, last access in us, ..},
--          {persona, "us member member ..", ..}, {"us member by said us", ..}
local batch, signals, trails, uses, used, clock = unpack(KEYS)
local space, limit = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]

local function forgotten(member, at)
  local ended = redis.call('ZSCORE', space .. 'forgot', member)
  return ended and tonumber(at) <= tonumber(ended)
end

local function step_of(entry)  -- without what was forgotten since; false for nothing
  local at, left = false, {}
  for each in string.gmatch(entry, '%S+') do
    if not at then at = each elseif not forgotten(each, at) then left[#left + 1] = each end
  end
  return #left > 0 and at .. ' ' .. table.concat(left, ' ')
end

local function signal_of(entry)
  local at, member = string.match(entry, '^(%S+) (%S+)')
  return not forgotten(member, at) and entry
end

local function take_uses()
  local longest = redis.call('ZRANGE', used, 0, limit - 1, 'WITHSCORES')
  for i = 1, #longest, 2 do
    local member, last = longest[i], string.format('%.0f', tonumber(longest[i + 1]))
    local count = redis.call('ZSCORE', uses, member)
    redis.call('ZREM', uses, member)
    redis.call('ZREM', used, member)
    if count then redis.call('RPUSH', batch .. ':uses', member, string.format('%.0f', tonumber(count)), last) end
  end
end

local function take_steps()
  local personas, left = redis.call('SMEMBERS', trails), limit
  table.sort(personas)
  for _, persona in ipairs(personas) do
    local trail = space .. 'trail:' .. persona
    local steps = redis.call('LRANGE', trail, 0, left - 1)
    if left == 0 then steps = {} end
    for _, entry in ipairs(steps) do
      local step = step_of(entry)
      if step then redis.call('RPUSH', batch .. ':steps', persona, step) end
    end
    left = left - #steps
    if redis.call('LLEN', trail) == #steps then
      redis.call('DEL', trail)
      redis.call('SREM', trails, persona)
    else
      redis.call('LTRIM', trail, #steps, -1)
    end
  end
end

local function take_signals()
  local taken = redis.call('LRANGE', signals, 0, limit - 1)
  for _, entry in ipairs(taken) do
    local signal = signal_of(entry)
    if signal then redis.call('RPUSH', batch .. ':signals', signal) end
  end
  if #taken > 0 then redis.call('LTRIM', signals, #taken, -1) end
end

local number = redis.call('GET', batch)
if not number then
  take_uses()
  take_steps()
  take_signals()
  if redis.call('EXISTS', batch .. ':uses', batch .. ':steps', batch .. ':signals') == 0 then
    return {'0', {}, {}, {}}
  end
  number = string.format('%.0f', math.max(now_us, (tonumber(redis.call('GET', clock)) or 0) + 1))
  redis.call('SET', clock, number)
  redis.call('SET', batch, number)
end

local accesses, steps, said = {}, {}, {}
local all = redis.call('LRANGE', batch .. ':uses', 0, -1)
for i = 1, #all, 3 do
  if not forgotten(all[i], all[i + 2]) then
    for j = i, i + 2 do accesses[#accesses + 1] = all[j] end
  end
end
all = redis.call('LRANGE', batch .. ':steps', 0, -1)
for i = 1, #all, 2 do
  local step = step_of(all[i + 1])
  if step then
    steps[#steps + 1] = all[i]
    steps[#steps + 1] = step
  end
end
for _, entry in ipairs(redis.call('LRANGE', batch .. ':signals', 0, -1)) do
  said[#said + 1] = signal_of(entry) or nil
end
return {number, accesses, steps, said}
