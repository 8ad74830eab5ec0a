
-- Schedules: definitions, each "<revision> <text>", and the ledger, a row per schedule

local kSchedulesMax = 100000
local kTriggersOutboxMax = 100000  -- entries

local function revision_of(definition)
  return definition and string.match(definition, '^(%d+) ')
end

-- KEYS definitions, ledger, outbox · ARGV name, revision of the definition, row before (or empty), row
-- after, packed events …. Answers 0 done, 1 the row is there already, 2 another row or definition, 3 the
-- outbox is full; and the row as it is now.
local function fire(keys, args)
  local definitions, ledger, outbox = keys[1], keys[2], keys[3]
  local name, revision, before, after = args[1], args[2], args[3], args[4]
  if #keys ~= 3 or #args < 4 or #args > 4 + kItemsMax or after == '' then bad_call('fire') end
  local definition = look('HGET', definitions, name)
  local row = look('HGET', ledger, name) or ''
  if row == after then return {1, row} end
  if revision_of(definition) ~= revision or row ~= before then return {2, row} end
  check_type(outbox, 'stream')
  if call('XLEN', outbox) + #args - 4 > kTriggersOutboxMax then return {3, row} end
  local ids = {}
  all_or_nothing(function()
    call('HSET', ledger, name, after)
    for i = 5, #args do ids[#ids + 1] = call('XADD', outbox, '*', 'to', '', 'event', args[i]) end
  end, function()
    if #ids > 0 then take_back('XDEL', outbox, unpack(ids)) end
    if row == '' then take_back('HDEL', ledger, name)
    else take_back('HSET', ledger, name, row) end
  end)
  return {0, after}
end

-- KEYS definitions, ledger, revision · ARGV name, definition (or empty: none). Answers whether there was
-- one, and the new revision; 0 if there are too many.
local function set_schedule(keys, args)
  local definitions, ledger, counter, name, text = keys[1], keys[2], keys[3], args[1], args[2]
  if #keys ~= 3 or #args ~= 2 then bad_call('set_schedule') end
  local held, row = look('HGET', definitions, name), look('HGET', ledger, name)
  local last = look('GET', counter)
  if not held and text == '' then return {0, tonumber(last or 0)} end
  if not held and call('HLEN', definitions) >= kSchedulesMax then return {0, 0} end
  local revision = string.format('%d', (tonumber(last or 0)) + 1)
  all_or_nothing(function()
    call('SET', counter, revision)
    if text == '' then call('HDEL', definitions, name)
    else call('HSET', definitions, name, revision .. ' ' .. text) end
    if row then call('HDEL', ledger, name) end
  end, function()
    if last then take_back('SET', counter, last) else take_back('DEL', counter) end
    if held then take_back('HSET', definitions, name, held)
    else take_back('HDEL', definitions, name) end
    if row then take_back('HSET', ledger, name, row) end
  end)
  return {held and 1 or 0, tonumber(revision)}
end

-- KEYS definitions, ledger, revision · ARGV cursor. Answers the next cursor, the revision, then name,
-- definition, row, ….
local function list_schedules(keys, args)
  local page = look('HSCAN', keys[1], args[1], 'COUNT', 64)
  local answer = {page[1], tonumber(look('GET', keys[3]) or 0)}
  local fields = page[2]
  for i = 1, #fields, 2 do
    answer[#answer + 1] = fields[i]
    answer[#answer + 1] = fields[i + 1]
    answer[#answer + 1] = look('HGET', keys[2], fields[i]) or ''
  end
  return answer
end

-- KEYS revision
local function get_revision(keys) return tonumber(look('GET', keys[1]) or 0) end

register('fire', fire, {})
register('set_schedule', set_schedule, {})
register('remove_schedule', set_schedule, {'allow-oom'})
register('list_schedules', list_schedules, {'no-writes'})
register('get_revision', get_revision, {'no-writes'})
