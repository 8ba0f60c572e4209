-- Parts of budgets that machines hold. The rules are in `billing.parts`; this refuses to write on an
-- old view, and to let a part grow before every machine has said what it holds.
--
-- KEYS: the machines, then budgets. ARGV: the machine; for how long after the store's data may have
-- been lost nothing grows, microseconds; the generation of the data as the machine knows it, or ''
-- to ask for it; then either the generation with which the machine was last, or '', and names of
-- machines that must be heard before anything grows, or for each budget: the version that was seen,
-- the part's words, 1 where it grows, when the budget may be forgotten (milliseconds since 1970, 0:
-- never).
--
-- A generation is one life of the server with one life of its data: after a restart from older
-- data, a change to a replica that had not everything, or FLUSHALL, it is another one. It is over,
-- too, when a machine comes that is new, or was last with data of which this knows nothing: while
-- some had changed to a replica and others had not, each of the two knows only a part of what is
-- held, and an old primary that is reached again knows nothing of what was said to the new one.
local PAST_MAX = 64
local machines, me, settle_us, known = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end

local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if not run then
  return redis.error_reply('it does not tell its run_id, so a restart from older data is not seen')
end
local generation = redis.call('HGET', machines, 'generation')
local over = not generation or string.sub(generation, 1, #run) ~= run
local last = known == '' and ARGV[4] or generation
if not over and last ~= generation then
  over = last == '' or redis.call('HEXISTS', machines, 'h:' .. last) == 0
end
if over then
  for _, before in ipairs({generation or '', last or ''}) do
    if before ~= '' then redis.call('HSET', machines, 'h:' .. before, text(now)) end
  end
  -- What is forgotten too early makes a generation end that could have gone on.
  local past, fields = {}, redis.call('HGETALL', machines)
  for i = 1, #fields, 2 do
    local at = tonumber(fields[i + 1])
    if string.sub(fields[i], 1, 2) == 'h:' then past[#past + 1] = {at, fields[i]} end
  end
  table.sort(past, function(one, other) return one[1] < other[1] end)
  for i = 1, #past - PAST_MAX do redis.call('HDEL', machines, past[i][2]) end
  generation = run .. '.' .. text(now)
  redis.call('HSET', machines, 'generation', generation, 'since', text(now))
end

if known == '' then
  redis.call('HSETNX', machines, 'm:' .. me, text(now))
  for index = 5, #ARGV do redis.call('HSETNX', machines, 'm:' .. ARGV[index], text(now)) end
  local memory = redis.call('INFO', 'memory')
  local policy = string.match(memory, 'maxmemory_policy:([%w-]+)') or 'noeviction'
  if string.match(memory, 'maxmemory:0%s') then policy = 'noeviction' end
  local answer = {generation, policy}
  for _, field in ipairs(redis.call('HKEYS', machines)) do
    if string.sub(field, 1, 2) == 'm:' then answer[#answer + 1] = string.sub(field, 3) end
  end
  return answer
end
if known ~= generation then return {'again'} end

-- Nothing grows before those who are there have had the time to say so.
local grows_at, members = 0, {}
for field, value in pairs((function()
  local all, found = redis.call('HGETALL', machines), {}
  for i = 1, #all, 2 do found[all[i]] = all[i + 1] end
  return found
end)()) do
  if string.sub(field, 1, 2) == 'm:' then members[#members + 1] = string.sub(field, 3) end
  if field == 'since' or field == 'm:' .. me then
    -- The server's clock went back: the time begins anew.
    if tonumber(value) > now then
      redis.call('HSET', machines, field, text(now))
      value = now
    end
    grows_at = math.max(grows_at, tonumber(value) + settle_us)
  end
end

local answers = {}
for index = 2, #KEYS do
  local key, at = KEYS[index], 4 + (index - 2) * 4
  local seen, words, grows, until_ms = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local version = redis.call('HGET', key, 'version') or '0'
  if version ~= seen then
    if tonumber(seen) > tonumber(version) then
      -- Somebody deleted it: whoever holds a part of it must say so again.
      redis.call('HDEL', machines, 'generation')
      return {'again'}
    end
    answers[#answers + 1] = {'stale', redis.call('HGETALL', key)}
  else
    local missing = {}
    if grows == '1' then
      for _, member in ipairs(members) do
        local part = redis.call('HGET', key, 'p:' .. member)
        if not part or string.sub(part, 1, #generation) ~= generation then
          if member ~= me then missing[#missing + 1] = member end
        end
      end
      if now < grows_at then missing[#missing + 1] = '' end
    end
    if #missing > 0 then
      answers[#answers + 1] = {'waits', missing}
    else
      version = text(tonumber(version) + 1)
      redis.call('HSET', key, 'version', version, 'p:' .. me, generation .. ' ' .. words)
      if until_ms ~= '0' then redis.call('PEXPIREAT', key, until_ms) end
      answers[#answers + 1] = {'held', {version}}
    end
  end
end
return answers
