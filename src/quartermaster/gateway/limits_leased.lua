-- Workers of all machines take from one set of buckets: each holds a part of them for a moment.
--
-- KEYS: the workers; the newest notice of standings; what the workers obey; the server's life; then
-- one hash for each account. ARGV: who asks; how long a silent worker keeps what it holds and is
-- remembered, microseconds; the instant (0 is the server's clock); the first characters of the
-- notice that the asking worker knows; what it obeys; for how long a server that is another one
-- than before gives nobody more, microseconds; then for each account one line of numbers: of the
-- report; requests and tokens, each as limit (-1: none), spent, keep, want, need, seed; open
-- requests as limit, keep, want, need.
--
-- Levels are millionths of a sixtieth of a unit, as in `gateway.limits`. A bucket holds its limit;
-- what workers hold does not come back while they hold it, what they spent comes back evenly. So
-- what they may let pass together is what one bucket would let pass.
local UNIT, DEBT_MINUTES, FORGET_US, LACK_US = 60000000, 60, 60000000, 2000000
local me, expire_us, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function text(number) return string.format('%.0f', number) end

-- Signs of life of tomorrow were written before the server's clock went back.
local expired = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - expire_us))
  + redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. text(now), '+inf')
redis.call('ZADD', KEYS[1], text(now), me)
redis.call('EXPIRE', KEYS[1], 120)

-- Who is silent is named for a minute, with what it obeyed last.
if expired > 0 then
  local obeyed = redis.call('HGETALL', KEYS[3])
  for i = 1, #obeyed, 2 do
    local at = tonumber(string.match(obeyed[i + 1], '^%d+') or '0')
    if now < at or now - at > FORGET_US then redis.call('HDEL', KEYS[3], obeyed[i]) end
  end
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[3], me, text(now) .. ' ' .. ARGV[5])
  redis.call('EXPIRE', KEYS[3], 120)
end

-- Whoever knows it already is not told again.
local notice = ''
local begins = redis.call('GETRANGE', KEYS[2], 0, 63)
if begins ~= '' and begins ~= ARGV[4] then notice = redis.call('GET', KEYS[2]) end

-- A server that was restarted, or a replica in its place, may not know what was said last: until all
-- have said again what they hold, nobody is given more.
local told = redis.pcall('INFO', 'server')
local run = type(told) == 'string' and string.match(told, 'run_id:(%w+)') or '-'
local life = redis.call('HMGET', KEYS[4], 'run', 'since')
if life[1] ~= run or tonumber(life[2]) > now then
  life[2] = text(now)
  redis.call('HSET', KEYS[4], 'run', run, 'since', life[2])
end
local settles = now < tonumber(life[2]) + tonumber(ARGV[6])
local answers = {redis.call('ZCARD', KEYS[1]), notice, run}

-- What may be held: `keep` whatever happens, more only in whole units, half of what is free, or
-- what a refused request needs; less than that helps nobody.
local function fit(free, keep, want, need, unit)
  if settles then return keep end
  local most = math.max(math.floor(free / 2), need - keep)
  local more = math.floor(math.min(want - keep, most, free) / unit) * unit
  if more > 0 and keep + more >= need then return keep + more end
  return keep
end

for index = 5, #KEYS do
  local key, said, kept = KEYS[index], {}, {}
  for number in string.gmatch(ARGV[index + 2], '%S+') do said[#said + 1] = tonumber(number) end
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do kept[all[i]] = all[i + 1] end
  if kept.run ~= run then
    for field in pairs(kept) do
      if field == 'made' or string.sub(field, 1, 2) == 'w:' then
        redis.call('HDEL', key, field)
        kept[field] = nil
      end
    end
  end
  local report = said[1]
  local elapsed = kept.at and math.max(now - tonumber(kept.at), 0) or 0
  local lacking = false

  -- What other workers hold; who is silent has spent it, as far as anybody knows.
  local others, expired, heard = {0, 0, 0}, {0, 0}, 0
  for field, value in pairs(kept) do
    if string.sub(field, 1, 2) == 'w:' then
      local parts = {}
      for part in string.gmatch(value, '%S+') do parts[#parts + 1] = tonumber(part) end
      if field == 'w:' .. me then
        heard = parts[1]
      elseif now >= parts[2] and now - parts[2] <= expire_us then
        for i = 1, 3 do others[i] = others[i] + parts[2 + i] end
      else
        for i = 1, 2 do expired[i] = expired[i] + parts[2 + i] end
        if now < parts[2] or now - parts[2] > FORGET_US then
          redis.call('HDEL', key, field)
        else
          redis.call('HSET', key, field, string.format('%.0f %.0f 0 0 0', parts[1], parts[2]))
        end
      end
    end
  end

  local answer, holds, drain_us = {kept.made or text(now)}, {}, 0
  for i, name in ipairs({'r', 't'}) do
    local from = 2 + (i - 1) * 6
    local limit, spent, keep = said[from], said[from + 1], said[from + 2]
    if limit >= 0 then
      local want, need = said[from + 3], said[from + 4]
      local used = tonumber(kept[name .. 'u'] or said[from + 5])
      -- Who says something here for the first time may know of more than the data does.
      if heard == 0 then used = math.max(used, said[from + 5]) end
      local drained = tonumber(kept[name .. 'd'] or '0')
      local back = math.min(used, elapsed * limit)
      used, drained = used - back + expired[i], drained + back
      if report > heard then
        if spent >= 0 then
          local most = DEBT_MINUTES * limit * UNIT
          used = math.max(used, math.min(used + spent, most))
        else
          local excess = math.min(used, -spent)
          used, drained = used - excess, drained + excess
        end
      end
      local held = fit(limit * UNIT - used - others[i] - keep, keep, want, need, UNIT)
      lacking = lacking or held < need
      redis.call('HSET', key, name .. 'u', text(used), name .. 'd', text(drained))
      drain_us = math.max(drain_us, used / math.max(limit, 1))
      holds[i] = held
      answer[#answer + 1] = text(held)
      answer[#answer + 1] = text(used)
      answer[#answer + 1] = text(drained)
      answer[#answer + 1] = text(others[i])
    else
      holds[i] = 0
      for _ = 1, 4 do answer[#answer + 1] = '0' end
    end
  end

  local limit, keep, want, need, slots = said[14], said[15], said[16], said[17], 0
  if limit >= 0 then
    slots = fit(limit - others[3] - keep, keep, want, need, 1)
    lacking = lacking or slots < need
  end
  if lacking then redis.call('HSET', key, 'lack', text(now)) end
  local lacked = lacking or (kept.lack and now - tonumber(kept.lack) < LACK_US)
  answer[#answer + 1] = text(slots)
  answer[#answer + 1] = lacked and '1' or '0'

  redis.call('HSET', key, 'at', text(now), 'made', answer[1], 'run', run,
    'w:' .. me, string.format('%.0f %.0f %.0f %.0f %.0f', report, now, holds[1], holds[2], slots))
  redis.call('PEXPIRE', key, text(120000 + drain_us / 1000))
  answers[#answers + 1] = table.concat(answer, ' ')
end
return answers
