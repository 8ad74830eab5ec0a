
-- rows: what a function keeps of its own, in its store. A row is expiry u64 (Unix ms, 0 = never) +
-- value; `names` (all scores 0) holds the keys in order, `expiries` the due ones' times. The bytes of
-- all keys and values are counted in counts.store_bytes, the rows by the hash itself.
--
-- Writes (protocol/row_writes.h) are folded before anything is written: what each key holds before
-- and after. The change is then a command per kind of write, or some if there are very many, and taken
-- back by its own reverse, which does no harm where nothing was written yet.
-- An expired row is as good as none; writes take a few of them away.

local kPut, kErase, kIncrement = 1, 2, 3
local kFull, kNotANumber = '\4', '\5'
local kRowNumberMax = 9007199254740991
local kNever = '\0\0\0\0\0\0\0\0'
local kSweepMax = 32     -- expired rows taken away with a write
local kListStep = 16     -- rows looked at in one go, each of up to 256 KiB
local kListLooksMax = 1024
local kAtOnceMax = 1024  -- arguments of one command; unpack takes some 8000, a commit may change more

local function expiry_of(row)
  local high, low = unpack_struct('>I4I4', row)
  return high * 4294967296 + low
end
local function has_expired(row, now)
  local expiry = expiry_of(row)
  return expiry > 0 and expiry <= now
end

-- The writes in ARGV `text`: {kind, key, row} each. Of an increment the row's value is what to add.
local function parse_writes(text)
  local writes, at, size = {}, 1, #text
  while at <= size do
    if size - at < 14 then bad_call('writes') end
    local kind, key_size, value_size = unpack_struct('>BHI4', text, at)
    local row_at = at + 7 + key_size
    local after = row_at + 8 + value_size
    if kind < kPut or kind > kIncrement or key_size < 1 or after > size + 1 or #writes >= kItemsMax then
      bad_call('writes')
    end
    writes[#writes + 1] = {kind, sub(text, at + 7, row_at - 1), sub(text, row_at, after - 1)}
    at = after
  end
  return writes
end

-- A function's store: KEYS[key] and the two after it; now, most rows and most bytes at ARGV[arg].
local function open_store(keys, key, counts, args, arg)
  local store = {
    values = keys[key], names = keys[key + 1], expiries = keys[key + 2], counts = counts,
    now = tonumber(args[arg]), rows_max = tonumber(args[arg + 1]), bytes_max = tonumber(args[arg + 2]),
    known = {},  -- key → its row, or false
  }
  if not store.now or not store.rows_max or not store.bytes_max then bad_call('store') end
  check_type(store.values, 'hash')
  check_type(store.names, 'zset')
  check_type(store.expiries, 'zset')
  store.rows = call('HLEN', store.values)
  store.bytes = tonumber(call('HGET', counts, 'store_bytes') or 0)
  return store
end

local function new_change() return {before = {}, after = {}, bytes = 0} end

local function sum_of(held, by, now)
  local number, expiry = 0, kNever
  if held and not has_expired(held, now) then
    expiry = sub(held, 1, 8)
    number = #held <= 25 and string.match(held, '^%-?%d+$', 9) and tonumber(sub(held, 9))
  end
  by = #by <= 25 and string.match(by, '^%-?%d+$', 9) and tonumber(sub(by, 9))
  if not by then bad_call('increment') end
  if not number or math.abs(number) > kRowNumberMax or math.abs(number + by) > kRowNumberMax then
    return nil
  end
  return expiry .. string.format('%.0f', number + by)
end

-- Adds writes to a change: all of them, or none and the verdict why. A store that is over its limits
-- still takes what does not make it larger.
local function fold(store, change, writes)
  local wanted = {}
  for _, write in ipairs(writes) do
    if store.known[write[2]] == nil then
      store.known[write[2]] = false
      wanted[#wanted + 1] = write[2]
    end
  end
  if #wanted > 0 then
    local found = call('HMGET', store.values, unpack(wanted))
    for i = 1, #wanted do store.known[wanted[i]] = found[i] end
  end
  local after, rows, bytes = {}, store.rows, store.bytes
  for _, write in ipairs(writes) do
    local kind, key, row = write[1], write[2], write[3]
    local held = after[key]
    if held == nil then held = store.known[key] end
    if kind == kErase then row = false
    elseif kind == kIncrement then
      row = sum_of(held, row, store.now)
      if not row then return kNotANumber end
    end
    if held then rows, bytes = rows - 1, bytes - #key - #held + 8 end
    if row then rows, bytes = rows + 1, bytes + #key + #row - 8 end
    after[key] = row
  end
  if (rows > store.rows and rows > store.rows_max) or
      (bytes > store.bytes and bytes > store.bytes_max) then
    return kFull
  end
  for key, row in pairs(after) do
    if change.before[key] == nil then change.before[key] = store.known[key] end
    change.after[key] = row
    store.known[key] = row
  end
  change.bytes = change.bytes + bytes - store.bytes
  store.rows, store.bytes = rows, bytes
  return nil
end

-- Some of the rows that have expired, as a change that takes them away; nil if there are none.
local function sweep(store)
  local due = call('ZRANGEBYSCORE', store.expiries, '-inf', string.format('%.0f', store.now),
    'LIMIT', 0, kSweepMax)
  if #due == 0 then return nil end
  local writes, change = {}, new_change()
  for i, key in ipairs(due) do writes[i] = {kErase, key, false} end
  fold(store, change, writes)
  return change
end

local function run_paged(run, command, key, arguments)
  for from = 1, #arguments, kAtOnceMax do
    run(command, key, unpack(arguments, from, math.min(from + kAtOnceMax - 1, #arguments)))
  end
end

-- From what keys hold to what they shall hold, with `run`.
local function run_change(store, from, to, run)
  local set, unset, named, unnamed, timed, untimed = {}, {}, {}, {}, {}, {}
  for key, row in pairs(to) do
    local held = from[key]
    local expiry, had = row and expiry_of(row) or 0, held and expiry_of(held) or 0
    if row then
      set[#set + 1] = key
      set[#set + 1] = row
      if not held then
        named[#named + 1] = 0
        named[#named + 1] = key
      end
    elseif held then
      unset[#unset + 1] = key
    end
    if expiry > 0 and expiry ~= had then
      timed[#timed + 1] = string.format('%.0f', expiry)
      timed[#timed + 1] = key
    elseif expiry == 0 and had > 0 then
      untimed[#untimed + 1] = key
    end
  end
  run_paged(run, 'HSET', store.values, set)
  run_paged(run, 'ZADD', store.names, named)
  run_paged(run, 'ZADD', store.expiries, timed)
  run_paged(run, 'HDEL', store.values, unset)
  run_paged(run, 'ZREM', store.names, unset)
  run_paged(run, 'ZREM', store.expiries, untimed)
end

local function write_change(store, change)
  change.begun = true
  run_change(store, change.before, change.after, call)
  if change.bytes ~= 0 then call('HINCRBY', store.counts, 'store_bytes', change.bytes) end
  change.counted = true
end
local function undo_change(store, change)
  if not change.begun then return end
  run_change(store, change.after, change.before, take_back)
  if change.counted and change.bytes ~= 0 then
    take_back('HINCRBY', store.counts, 'store_bytes', -change.bytes)
  end
  change.begun, change.counted = nil, nil
end

-- Writes a change as a unit of its own.
local function apply_change(store, change)
  if not change then return end
  all_or_nothing(function() write_change(store, change) end,
    function() undo_change(store, change) end)
end

-- KEYS store, names, expiries, counts · ARGV now in ms, most rows, most bytes, writes. For people, who
-- have no commit to write with. Answers 0; 4 full; 5 an increment of what is no number.
local function write_rows(keys, args)
  if #keys ~= 4 or #args ~= 4 then bad_call('write_rows') end
  local writes = parse_writes(args[4])
  local store, change = open_store(keys, 1, keys[4], args, 1), new_change()
  local swept = sweep(store)
  local refusal = fold(store, change, writes)
  apply_change(store, swept)
  if refusal then return byte(refusal) end
  apply_change(store, change)
  return 0
end

-- KEYS store · ARGV now in ms, keys. Answers each one's row, or false.
local function get_rows(keys, args)
  local now, count = tonumber(args[1]), #args - 1
  if not now or count < 1 or count > kItemsMax then bad_call('get_rows') end
  local rows = call('HMGET', keys[1], unpack(args, 2))
  for i = 1, count do
    if rows[i] and has_expired(rows[i], now) then rows[i] = false end
  end
  return rows
end

-- KEYS store, names · ARGV now in ms, prefix, key to go on behind (or empty), rows at most, bytes at
-- most. Answers whether there may be more (0, 1), the last key looked at, then key, row, ….
local function list_rows(keys, args)
  local values, names, now, prefix, after = keys[1], keys[2], tonumber(args[1]), args[2], args[3]
  local rows_max, bytes_max = tonumber(args[4]), tonumber(args[5])
  if not now or not rows_max or not bytes_max then bad_call('list_rows') end
  if after ~= '' and sub(after, 1, #prefix) ~= prefix then bad_call('cursor') end
  local answer, rows, bytes, looks = {0, after}, 0, 0, 0
  while true do
    local from = answer[2] ~= '' and '(' .. answer[2] or prefix ~= '' and '[' .. prefix or '-'
    local found = call('ZRANGEBYLEX', names, from, '+', 'LIMIT', 0, kListStep)
    if #found == 0 then return answer end
    local held = call('HMGET', values, unpack(found))
    for i, key in ipairs(found) do
      if sub(key, 1, #prefix) ~= prefix then return answer end
      if rows >= rows_max or bytes >= bytes_max or looks >= kListLooksMax then
        answer[1] = 1
        return answer
      end
      answer[2], looks = key, looks + 1
      local row = held[i]
      if row and not has_expired(row, now) then
        answer[#answer + 1] = key
        answer[#answer + 1] = row
        rows, bytes = rows + 1, bytes + #key + #row
      end
    end
  end
end

register('write_rows', write_rows, {})
register('erase_rows', write_rows, {'allow-oom'})  -- for writes that are all erasures: they make room
register('get_rows', get_rows, {'no-writes'})
register('list_rows', list_rows, {'no-writes'})
