#!lua name=fanfare_v1
-- Everything that changes more than one key of Fanfare in Redis. Each function is one atomic step.
--
-- All or nothing. Redis does not undo what a function wrote before it failed, so:
--   1. every check and every read comes before the first write;
--   2. when a write fails all the same (a key of the wrong type, in practice), what its unit has written
--      so far is taken back. A unit is one group (the deliveries of one entry) or one stream of an
--      append. The write that cannot be taken back (XADD with a given id, XDEL, the HDEL of a row) is
--      the last of its unit;
--   3. units before the failed one stay, complete and counted; the same call, repeated byte for byte,
--      knows them again and carries on with the rest.
-- A call of one unit is therefore applied whole or not at all, and any call, repeated, ends in the
-- state that an undisturbed call leaves. Error replies never carry a caller's text.
--
-- Wire. KEYS are named by the caller, ARGV are decimal text unless said otherwise. `groups` stands for
-- one triple of keys (journal, open, results) and two arguments (entry id, head) per group; a head is
-- big-endian: origin u8, entry_size u16, n u16, n slots u8, n indexes u8, n tokens u32, with slots and
-- indexes strictly ascending. A verdict is a byte: 0 ok, 1 duplicate, 2 fenced, 3 gone.

local kItemsMax = 256
local kGuardTtlMs = '3600000'
local kLayout = '1'
local kOpen = '\0\0\0\0'

local kJournal, kLater, kMemory = 0, 1, 2
local kOk, kDuplicate, kFenced, kGone = '\0', '\1', '\2', '\3'
local kCounts = {'accepted', 'open', 'later', 'succeeded', 'dead', 'expired', 'cancelled'}

-- While a library is loaded Redis lends it nothing but redis.register_function: what functions use is
-- fetched by the first that runs.
local call, try, byte, char, sub, rep, find, concat, unpack_struct
local all_open, all_ok, all_slots  -- the states of n open deliveries, n verdicts ok, '\0\1\2…\255'

local function prepare()
  call, try, byte, char, sub, rep = redis.call, pcall, string.byte, string.char, string.sub, string.rep
  find, concat, unpack_struct = string.find, table.concat, struct.unpack
  local open, ok, slots = {}, {}, {}
  for n = 0, kItemsMax do
    open[n], ok[n] = rep(kOpen, n), rep(kOk, n)
    if n > 0 then slots[n] = char(n - 1) end
  end
  all_open, all_ok, all_slots = open, ok, concat(slots)
end

local function bad_call(why) error({err = 'BADCALL ' .. why}) end

-- Fails with what `try` caught: a text, which error() would put an "ERR" before, or a table.
local function raise(problem) error(type(problem) == 'table' and problem or {err = problem}) end

-- Takes back one write. Tried twice: a taking-back that fails would leave half a change.
local function take_back(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then redis.pcall(...) end
end

-- Runs `change`; if it fails, runs `undo` and fails likewise.
local function all_or_nothing(change, undo, argument)
  local fine, problem = try(change, argument)
  if fine then return end
  undo(argument)
  raise(problem)
end

local function check_epoch(meta, epoch)
  if call('HGET', meta, 'epoch') ~= epoch then
    error({err = 'FENCED another broker has taken over'})
  end
end

---------------------------------------------------------------------------------------------------
-- counts: accepted = open + later + succeeded + dead + expired + cancelled, at any instant

local function move(moves, name, by) moves[name] = (moves[name] or 0) + by end

local function undo_counts(key, moves)
  for _, name in ipairs(kCounts) do
    local by = moves[name]
    if by and by ~= 0 then take_back('HINCRBY', key, name, -by) end
  end
end

local function apply_counts(key, moves)
  local done = {}
  all_or_nothing(function()
    for _, name in ipairs(kCounts) do
      local by = moves[name]
      if by and by ~= 0 then
        call('HINCRBY', key, name, by)
        done[name] = by
      end
    end
  end, function() undo_counts(key, done) end)
end

---------------------------------------------------------------------------------------------------
-- Groups: the deliveries of one entry, and what became of them

-- Reads the groups that start at KEYS[key] and ARGV[arg]. `per_item` arguments of each item follow
-- all heads, in order. Returns the groups and the number of items.
local function read_groups(keys, args, key, arg, per_item)
  local count = (#keys - key + 1) / 3
  if count < 1 or count > kItemsMax or count % 1 ~= 0 then bad_call('number of groups') end
  local groups, items, seen = {}, 0, {}
  local first = arg + 2 * count
  for g = 1, count do
    local entry, head = args[arg], args[arg + 1]
    if not head or #head < 5 then bad_call('no head') end
    local origin, size, n = unpack_struct('>BHH', head)
    if n < 1 or n > size or size > kItemsMax or #head ~= 5 + 6 * n or origin > kMemory then
      bad_call('head')
    end
    local journal, open, results = keys[key], keys[key + 1], keys[key + 2]
    if count > 1 then
      local name = results .. open .. origin
      if seen[name] then bad_call('entry named twice') end
      seen[name] = true
    end
    groups[g] = {
      entry = entry, head = head, origin = origin, size = size, n = n,
      journal = journal, open = open, results = results,
      first = first + items * per_item,  -- ARGV of the first item
      ok = n,                            -- how many items go through
      picked = nil,                      -- their positions, unless all do
      verdicts = all_ok[n],
    }
    items = items + n
    key, arg = key + 3, arg + 2
  end
  if items > kItemsMax then bad_call('more than 256 items') end
  if #args ~= first + items * per_item - 1 then bad_call('number of arguments') end
  return groups, items
end

local function index_of(group, i) return byte(group.head, 5 + group.n + i) end
local function token_of(group, i)
  local at = 6 + 2 * group.n + 4 * (i - 1)
  return sub(group.head, at, at + 3)
end
local function id_of(group, i) return group.entry .. '.' .. index_of(group, i) end

-- Event ids of all items, or the indexes as the fields of `results`.
local function ids_of(group)
  local ids, last = {}, -1
  for i = 1, group.n do
    local index = index_of(group, i)
    if index <= last then bad_call('indexes do not ascend') end
    last = index
    ids[i] = group.entry .. '.' .. index
  end
  return ids
end
local function fields_of(group)
  local fields = {}
  for i = 1, group.n do fields[i] = index_of(group, i) end
  return fields
end

-- Keeps the items for which judge(i) says ok.
local function judge_each(group, judge)
  local verdicts, picked = {}, {}
  for i = 1, group.n do
    local verdict = judge(i)
    verdicts[i] = verdict
    if verdict == kOk then picked[#picked + 1] = i end
  end
  group.verdicts = concat(verdicts)
  group.ok = #picked
  if group.ok < group.n then group.picked = picked end
end

-- The positions that go through: a list in any case.
local function picked_of(group)
  if group.picked then return group.picked end
  local all = {}
  for i = 1, group.n do all[i] = i end
  return all
end

-- What a token left behind says to the attempt that asks.
local function verdict_by_token(left, token)
  return sub(left, 1, 4) == token and kDuplicate or kFenced
end

-- For deliveries whose state is no longer there: the stored result or the row tells who was it.
local function judge_closed(group, rows)
  local results = call('HMGET', group.results, unpack(fields_of(group)))
  local waiting = call('HMGET', rows, unpack(ids_of(group)))
  judge_each(group, function(i)
    if results[i] then return verdict_by_token(results[i], token_of(group, i)) end
    if waiting[i] then return verdict_by_token(waiting[i], token_of(group, i)) end
    return kGone
  end)
end

-- Is a delivery open in a state field? Tokens may hold zero bytes, so look at whole states only.
local function any_open(states)
  local at = find(states, kOpen, 1, true)
  while at and at % 4 ~= 1 do at = find(states, kOpen, at + 1, true) end
  return at ~= nil
end

-- An entry of several deliveries: its states decide. Leaves the states to write in group.after.
local function judge_states(group, rows)
  local states = call('HGET', group.open, group.entry)
  if not states then return judge_closed(group, rows) end
  local n, size, head = group.n, group.size, group.head
  if #states ~= 4 * size then bad_call('entry size') end
  group.before = states
  local slots = sub(head, 6, 5 + n)
  local first = byte(slots)
  local from, to = 4 * first, 4 * (first + n)
  -- Neighbours, all open: no need to look at each.
  if slots == sub(all_slots, first + 1, first + n) and first + n <= size and
      sub(states, from + 1, to) == all_open[n] then
    if n == size then
      group.closes = true
      return
    end
    group.after = sub(states, 1, from) .. sub(head, 6 + 2 * n) .. sub(states, to + 1)
  else
    local pieces, copied, last = {}, 0, -1
    judge_each(group, function(i)
      local slot = byte(slots, i)
      if slot <= last or slot >= size then bad_call('slots') end
      last = slot
      local state, token = sub(states, 4 * slot + 1, 4 * slot + 4), token_of(group, i)
      if state ~= kOpen then return verdict_by_token(state, token) end
      pieces[#pieces + 1] = sub(states, copied + 1, 4 * slot)
      pieces[#pieces + 1] = token
      copied = 4 * slot + 4
      return kOk
    end)
    pieces[#pieces + 1] = sub(states, copied + 1)
    group.after = concat(pieces)
  end
  group.closes = not any_open(group.after)
end

local function write_states(group)
  if group.closes then
    call('HDEL', group.open, group.entry)
  else
    call('HSET', group.open, group.entry, group.after)
  end
  group.stated = true
end
local function undo_states(group)
  if group.stated then take_back('HSET', group.open, group.entry, group.before) end
  group.stated = nil
end

-- Closes an entry in its journal, if this group closes it. False: its only delivery was not open.
local function close_entry(group)
  if group.size > 1 and not group.closes then return true end
  return call('XDEL', group.journal, group.entry) == 1 or group.size > 1
end

-- Moves the counts, then runs the units, one per group, and answers the verdicts.
-- tally(group, moves, sign) says what a group moves; unit(group) writes, and answers false if it found
-- its only delivery closed; undo(group) takes back what unit has written, as often as it is asked.
local function run_units(counts, rows, groups, tally, unit, undo)
  local moves = {}
  for _, group in ipairs(groups) do tally(group, moves, 1) end
  apply_counts(counts, moves)
  local verdicts = {}
  for g, group in ipairs(groups) do
    if group.ok > 0 then
      all_or_nothing(function()
        if unit(group) then return end
        undo(group)
        local was_one = {}
        tally(group, was_one, 1)
        judge_closed(group, rows)
        group.ok = 0
        undo_counts(counts, was_one)
      end, function()
        undo(group)
        local back = {}
        for h = g, #groups do tally(groups[h], back, 1) end
        undo_counts(counts, back)
      end)
    end
    verdicts[g] = group.verdicts
  end
  return #verdicts == 1 and verdicts[1] or concat(verdicts)
end

---------------------------------------------------------------------------------------------------
-- commit and bury: deliveries end, with a result

-- Decides for one group whose items end. Rows of `later` and the memory class have no states.
local function judge_end(group, later, rows)
  if group.origin == kJournal then
    if group.size > 1 then return judge_states(group, rows) end
    -- Without a result, XDEL's answer decides, in the unit.
    if call('HEXISTS', group.results, index_of(group, 1)) == 1 then judge_closed(group, rows) end
  elseif group.origin == kLater then
    local ids = ids_of(group)
    local scores = call('ZMSCORE', later, unpack(ids))
    local results
    group.scores = scores
    judge_each(group, function(i)
      if call('HEXISTS', rows, ids[i]) == 1 then return kOk end
      results = results or call('HMGET', group.results, unpack(fields_of(group)))
      return results[i] and verdict_by_token(results[i], token_of(group, i)) or kGone
    end)
  elseif call('EXISTS', group.results, rows) > 0 then
    local results = call('HMGET', group.results, unpack(fields_of(group)))
    local waiting = call('HMGET', rows, unpack(ids_of(group)))
    judge_each(group, function(i)
      if results[i] then return verdict_by_token(results[i], token_of(group, i)) end
      return waiting[i] and kFenced or kOk
    end)
  end
end

-- The results of one group; (index, value) lie in ARGV `step` apart.
local function write_results(group, args, step, ttl_ms)
  if not group.picked and step == 2 then
    call('HSET', group.results, unpack(args, group.first, group.first + 2 * group.n - 1))
  else
    local values = {}
    for _, i in ipairs(picked_of(group)) do
      local at = group.first + (i - 1) * step
      values[#values + 1] = args[at]
      values[#values + 1] = args[at + 1]
    end
    call('HSET', group.results, unpack(values))
  end
  group.stored = true
  call('PEXPIRE', group.results, ttl_ms)
end
local function undo_results(group)
  if not group.stored then return end
  group.stored = nil
  local fields = {}
  for _, i in ipairs(picked_of(group)) do fields[#fields + 1] = index_of(group, i) end
  take_back('HDEL', group.results, unpack(fields))
end

-- Takes rows out of `later`: the sorted set first, the hash, which holds the payload, last.
local function take_rows(group, later, rows)
  local ids = {}
  for _, i in ipairs(picked_of(group)) do ids[#ids + 1] = id_of(group, i) end
  call('ZREM', later, unpack(ids))
  group.unplaced = true
  call('HDEL', rows, unpack(ids))
end
local function undo_take_rows(group, later)
  if not group.unplaced then return end
  group.unplaced = nil
  for _, i in ipairs(picked_of(group)) do
    if group.scores[i] then take_back('ZADD', later, group.scores[i], id_of(group, i)) end
  end
end

-- Where a group's deliveries lie, they lie no more. False: the only one of its entry was not open.
local function take_away(group, later, rows)
  if group.origin == kLater then
    take_rows(group, later, rows)
  elseif group.origin == kJournal then
    if group.size > 1 then write_states(group) end
    return close_entry(group)
  end
  return true
end
local function undo_take_away(group, later)
  undo_states(group)
  undo_take_rows(group, later)
end

local function leave_origin(group, moves, k)
  if group.origin == kJournal then move(moves, 'open', -k)
  elseif group.origin == kLater then move(moves, 'later', -k)
  else move(moves, 'accepted', k) end
end

-- KEYS counts, later, rows, groups · ARGV result ttl in ms (0: no results are stored), groups,
-- per item (only with a ttl): index, token u32 + packed result. Answers the verdicts.
local function commit(keys, args)
  local counts, later, rows, ttl_ms = keys[1], keys[2], keys[3], args[1]
  local groups = read_groups(keys, args, 4, 2, ttl_ms == '0' and 0 or 2)
  for _, group in ipairs(groups) do judge_end(group, later, rows) end
  return run_units(counts, rows, groups, function(group, moves, sign)
    leave_origin(group, moves, sign * group.ok)
    move(moves, 'succeeded', sign * group.ok)
  end, function(group)
    if ttl_ms ~= '0' then write_results(group, args, 2, ttl_ms) end
    return take_away(group, later, rows)
  end, function(group)
    undo_take_away(group, later)
    undo_results(group)
  end)
end

-- How a status other than success is counted.
local kStatusCounts = {['1'] = 'dead', ['2'] = 'expired', ['3'] = 'cancelled'}

-- KEYS meta, counts, later, rows, dead, groups · ARGV epoch, result ttl in ms, now in ms, letters
-- older than this ms go, letters above this number go, groups, per item: index, token u32 + packed
-- result, status, reason, packed event (empty when cancelled). Answers the verdicts.
local function bury(keys, args)
  local counts, later, rows, dead = keys[2], keys[3], keys[4], keys[5]
  local ttl_ms, now_ms, age_from_ms, count_max = args[2], args[3], args[4], args[5]
  check_epoch(keys[1], args[1])
  local groups = read_groups(keys, args, 6, 6, 5)
  local function status_of(group, i) return args[group.first + (i - 1) * 5 + 2] end
  for _, group in ipairs(groups) do
    for i = 1, group.n do
      if not kStatusCounts[status_of(group, i)] then bad_call('status') end
    end
    judge_end(group, later, rows)
  end

  local letters = 0
  local function write_letters(group)
    group.letters = {}
    for _, i in ipairs(picked_of(group)) do
      local at = group.first + (i - 1) * 5
      if args[at + 2] ~= '3' then
        group.letters[#group.letters + 1] = call('XADD', dead, '*', 'id', id_of(group, i),
          'status', args[at + 2], 'reason', args[at + 3], 'at', now_ms,
          'record', sub(args[at + 1], 5), 'event', args[at + 4])
        letters = letters + 1
      end
    end
  end
  local function undo_letters(group)
    if not group.letters or #group.letters == 0 then return end
    take_back('XDEL', dead, unpack(group.letters))
    letters = letters - #group.letters
    group.letters = nil
  end

  local verdicts = run_units(counts, rows, groups, function(group, moves, sign)
    if group.ok == 0 then return end
    leave_origin(group, moves, sign * group.ok)
    for _, i in ipairs(picked_of(group)) do
      move(moves, kStatusCounts[status_of(group, i)], sign)
    end
  end, function(group)
    if ttl_ms ~= '0' then write_results(group, args, 5, ttl_ms) end
    write_letters(group)
    return take_away(group, later, rows)
  end, function(group)
    undo_take_away(group, later)
    undo_letters(group)
    undo_results(group)
  end)

  -- Trimming is no part of the change: what it misses now goes with the next letter.
  if letters > 0 then
    redis.pcall('XTRIM', dead, 'MAXLEN', '~', count_max)
    redis.pcall('XTRIM', dead, 'MINID', '~', age_from_ms)
  end
  return verdicts
end

---------------------------------------------------------------------------------------------------
-- postpone: deliveries move to `later`, or get a new due time there

local function judge_postpone(group, later, rows)
  if group.origin == kJournal and group.size > 1 then return judge_states(group, rows) end
  local ids = ids_of(group)
  local old = call('HMGET', rows, unpack(ids))
  local results
  group.old = old
  if group.origin == kLater then group.scores = call('ZMSCORE', later, unpack(ids)) end
  judge_each(group, function(i)
    local token = token_of(group, i)
    if old[i] then
      if sub(old[i], 1, 4) == token then return kDuplicate end
      return group.origin == kLater and kOk or kFenced
    end
    if group.origin == kJournal then return kOk end  -- XDEL's answer decides, in the unit
    results = results or call('HMGET', group.results, unpack(fields_of(group)))
    if results[i] then return verdict_by_token(results[i], token) end
    return group.origin == kMemory and kOk or kGone
  end)
end

local function write_rows(group, args, later, rows)
  local places, values = {}, {}
  for _, i in ipairs(picked_of(group)) do
    local at, id = group.first + 2 * (i - 1), id_of(group, i)
    places[#places + 1] = args[at]
    places[#places + 1] = id
    values[#values + 1] = id
    values[#values + 1] = args[at + 1]
  end
  call('ZADD', later, unpack(places))
  group.placed = true
  call('HSET', rows, unpack(values))
  group.filled = true
end
local function undo_rows(group, later, rows)
  for _, i in ipairs(picked_of(group)) do
    local id, score = id_of(group, i), group.scores and group.scores[i]
    if group.filled then
      if group.scores then take_back('HSET', rows, id, group.old[i])
      else take_back('HDEL', rows, id) end
    end
    if group.placed then
      if score then take_back('ZADD', later, score, id)
      else take_back('ZREM', later, id) end
    end
  end
  group.placed, group.filled = nil, nil
end

-- KEYS meta, counts, later, rows, groups · ARGV epoch, groups, per item: due in ms, row (token u32,
-- attempts u32, accepted ms u64, ledger length u32, ledger, packed event). Answers the verdicts.
local function postpone(keys, args)
  local counts, later, rows = keys[2], keys[3], keys[4]
  check_epoch(keys[1], args[1])
  local groups, items = read_groups(keys, args, 5, 2, 2)
  for at = groups[1].first, groups[1].first + 2 * items - 1, 2 do
    if not tonumber(args[at]) or #args[at + 1] < 20 then bad_call('row') end
  end
  for _, group in ipairs(groups) do judge_postpone(group, later, rows) end
  return run_units(counts, rows, groups, function(group, moves, sign)
    if group.origin == kLater then return end
    leave_origin(group, moves, sign * group.ok)
    move(moves, 'later', sign * group.ok)
  end, function(group)
    write_rows(group, args, later, rows)
    if group.origin ~= kJournal then return true end
    if group.size > 1 then write_states(group) end
    return close_entry(group)
  end, function(group)
    undo_states(group)
    undo_rows(group, later, rows)
  end)
end

---------------------------------------------------------------------------------------------------
-- append: one chunk into the journals of all functions that get some of it

local function parse_entry(text)
  local ms, seq = string.match(text or '', '^(%d+)%-(%d+)$')
  if not ms then return nil end
  return tonumber(ms), tonumber(seq)
end

local function is_newer(entry, last)
  local ms, seq = parse_entry(entry)
  if not ms then bad_call('entry') end
  if not last then return true end
  local last_ms, last_seq = parse_entry(last)
  if not last_ms then error({err = 'BADLAYOUT last_entry is not an entry id'}) end
  return ms > last_ms or (ms == last_ms and seq > last_seq)
end

local function check_type(key, wanted)
  local found = call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then
    error({err = 'WRONGTYPE a key of a function holds the wrong kind of value'})
  end
end

-- Was this entry the last that the stream took? Then an earlier try of this very append got here.
local function is_last_of(journal, entry)
  local info = redis.pcall('XINFO', 'STREAM', journal)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] == entry end
  end
  return false
end

-- One stream: its counts, its states, and last its entry, which cannot be taken back.
local function append_stream(journal, open, counts, entry, args, first, n)
  local moves, stated = {accepted = n, open = n}, false
  apply_counts(counts, moves)
  local fine, problem = try(function()
    if n > 1 then stated = call('HSETNX', open, entry, all_open[n]) == 1 end
    call('XADD', journal, entry, unpack(args, first, first + 2 * n - 1))
  end)
  if fine then return end
  if stated then take_back('HDEL', open, entry) end
  undo_counts(counts, moves)
  if not is_last_of(journal, entry) then raise(problem) end
end

-- What a publisher's batch has in the journal, by entry. Only the newest batch is kept: a publisher has
-- one in flight.
local function sequence_of(kept)
  for i = 1, #kept, 2 do
    if kept[i] == 'sequence' then return tonumber(kept[i + 1]) end
  end
  return -1
end
local function write_guard(key, kept, sequence, entry, runs)
  local last = sequence_of(kept)
  if last > tonumber(sequence) then return end
  if last ~= -1 and last < tonumber(sequence) then call('DEL', key) end
  call('HSET', key, 'sequence', sequence, entry, runs)
  call('PEXPIRE', key, kGuardTtlMs)
end
local function undo_guard(key, kept)
  take_back('DEL', key)
  if #kept == 0 then return end
  take_back('HSET', key, unpack(kept))
  take_back('PEXPIRE', key, kGuardTtlMs)
end

-- KEYS meta, per stream: journal, open, counts; per guard: publishers:<client> · ARGV epoch, entry,
-- entry of the append before this one (or empty: do not check), number of streams, number of guards,
-- per stream: number of items; per guard: sequence, packed runs; per item: index, packed event.
-- Answers 0, or 1 for a repeat. GAP: the append before this one has not been applied.
local function append(keys, args)
  local meta, epoch, entry, before = keys[1], args[1], args[2], args[3]
  local streams, guards = tonumber(args[4]), tonumber(args[5])
  local state = call('HMGET', meta, 'epoch', 'last_entry')
  if state[1] ~= epoch then error({err = 'FENCED another broker has taken over'}) end
  if not is_newer(entry, state[2]) then return 1 end
  if before ~= '' and before ~= (state[2] or '0-0') then
    error({err = 'GAP the append before this one is missing'})
  end

  if not streams or not guards or #keys ~= 1 + 3 * streams + guards then bad_call('keys') end
  local first = 6 + streams + 2 * guards
  local total = first - 1
  for s = 1, streams do
    local n = tonumber(args[5 + s])
    if not n or n < 1 or n > kItemsMax then bad_call('number of items') end
    total = total + 2 * n
    if streams > 1 then
      check_type(keys[3 * s - 1], 'stream')
      check_type(keys[3 * s], 'hash')
      check_type(keys[3 * s + 1], 'hash')
    end
  end
  if #args ~= total then bad_call('number of arguments') end
  local kept = {}
  for g = 1, guards do kept[g] = call('HGETALL', keys[1 + 3 * streams + g]) end

  local marked, guarded = false, 0
  all_or_nothing(function()
    call('HSET', meta, 'last_entry', entry)
    marked = true
    for g = 1, guards do
      guarded = g
      local at = 4 + streams + 2 * g
      write_guard(keys[1 + 3 * streams + g], kept[g], args[at], entry, args[at + 1])
    end
    for s = 1, streams do
      local n = tonumber(args[5 + s])
      append_stream(keys[3 * s - 1], keys[3 * s], keys[3 * s + 1], entry, args, first, n)
      first = first + 2 * n
    end
  end, function()
    for g = guarded, 1, -1 do undo_guard(keys[1 + 3 * streams + g], kept[g]) end
    if not marked then return end
    if state[2] then take_back('HSET', meta, 'last_entry', state[2])
    else take_back('HDEL', meta, 'last_entry') end
  end)
  return 0
end

-- KEYS publishers:<client> · ARGV sequence. Answers entry, runs, entry, runs … of that sequence.
local function recall(keys, args)
  if call('HGET', keys[1], 'sequence') ~= args[1] then return {} end
  local held, runs = call('HGETALL', keys[1]), {}
  for i = 1, #held, 2 do
    if held[i] ~= 'sequence' then
      runs[#runs + 1] = held[i]
      runs[#runs + 1] = held[i + 1]
    end
  end
  return runs
end

---------------------------------------------------------------------------------------------------
-- Reading

-- KEYS journal, open · ARGV after (entry, exclusive), entries at most, bytes at most. Answers whether
-- the lane goes on (0, 1), then per entry {id, its states (or false), {index, event, …}}.
local function page(keys, args)
  local journal, after = keys[1], '(' .. args[1]
  local entries_max, bytes_max = tonumber(args[2]), tonumber(args[3])
  if not entries_max or entries_max > kItemsMax or not bytes_max then bad_call('page') end
  local answer, ids, bytes = {0}, {}, 0
  while true do
    local entry = call('XRANGE', journal, after, '+', 'COUNT', 1)[1]
    if not entry then break end
    if #ids >= entries_max or bytes >= bytes_max then
      answer[1] = 1
      break
    end
    ids[#ids + 1] = entry[1]
    answer[#answer + 1] = {entry[1], false, entry[2]}
    for i = 2, #entry[2], 2 do bytes = bytes + #entry[2][i] end
    after = '(' .. entry[1]
  end
  if #ids == 0 then return answer end
  local states = call('HMGET', keys[2], unpack(ids))
  for i = 1, #ids do answer[i + 1][2] = states[i] end
  return answer
end

-- Bytes in order, whatever the server's locale says.
local function is_after(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- The rank of the first row behind (due, id), also when that row itself is gone.
local function rank_behind(later, due, id)
  local score, rank = call('ZSCORE', later, id), call('ZRANK', later, id)
  if rank and tonumber(score) == tonumber(due) then return rank + 1 end
  local low, high = call('ZCOUNT', later, '-inf', '(' .. due), call('ZCOUNT', later, '-inf', due)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_after(call('ZRANGE', later, middle, middle)[1], id) then high = middle
    else low = middle + 1 end
  end
  return low
end

-- KEYS later, rows · ARGV from ms, id (start behind it; empty: from ms inclusive), until ms, rows at
-- most, bytes at most. Answers the due ms of the first row left (or false), then id, due ms, row, ….
local function due(keys, args)
  local later, rows, from, id = keys[1], keys[2], args[1], args[2]
  local until_ms, rows_max, bytes_max = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  if not tonumber(from) or not until_ms or not rows_max or rows_max > kItemsMax or not bytes_max then
    bad_call('due')
  end
  local rank = id ~= '' and rank_behind(later, from, id) or call('ZCOUNT', later, '-inf', '(' .. from)
  local places = call('ZRANGE', later, rank, rank + rows_max, 'WITHSCORES')
  local answer, bytes = {false}, 0
  for i = 1, #places, 2 do
    local at = tonumber(places[i + 1])
    if at > until_ms or i > 2 * rows_max or bytes >= bytes_max then
      answer[1] = places[i + 1]
      break
    end
    local row = call('HGET', rows, places[i])
    if row then
      answer[#answer + 1] = places[i]
      answer[#answer + 1] = places[i + 1]
      answer[#answer + 1] = row
      bytes = bytes + #row
    end
  end
  return answer
end

-- KEYS counts, later, then the journal of every lane. Answers the counts, the earliest due ms (or
-- false), and the positions (from 0) of the journals that are not empty.
local function survey(keys)
  local lanes = {}
  for i = 3, #keys do
    if call('XLEN', keys[i]) > 0 then lanes[#lanes + 1] = i - 3 end
  end
  local first = call('ZRANGE', keys[2], 0, 0, 'WITHSCORES')
  return {call('HMGET', keys[1], unpack(kCounts)), first[2] or false, lanes}
end

---------------------------------------------------------------------------------------------------
-- Taking office, functions, workers

-- KEYS meta. Answers the new epoch and the last entry.
local function begin(keys)
  local state = call('HMGET', keys[1], 'layout', 'epoch', 'last_entry')
  if state[1] and state[1] ~= kLayout then
    error({err = 'BADLAYOUT this Redis holds another layout version'})
  end
  local epoch = (tonumber(state[2]) or 0) + 1
  call('HSET', keys[1], 'layout', kLayout, 'epoch', string.format('%d', epoch))
  return {epoch, state[3] or '0-0'}
end

-- A registered function is "<generation> <active|paused> <digest>\n<manifest>".
local function parse_function(value)
  return string.match(value, '^(%d+) (%a+) (%x*)\n(.*)$')
end

-- KEYS meta, functions · ARGV epoch, name, digest, manifest. Answers the generation, which grows over
-- all functions, so that a name that was removed and deployed again does not see an old one.
local function deploy(keys, args)
  check_epoch(keys[1], args[1])
  local held = call('HGET', keys[2], args[2])
  local state = 'active'
  if held then
    local generation, was, digest, manifest = parse_function(held)
    if digest == args[3] and manifest == args[4] then return tonumber(generation) end
    state = was or state
  end
  local generation = (tonumber(call('HGET', keys[1], 'generation')) or 0) + 1
  local value = string.format('%d %s %s\n', generation, state, args[3]) .. args[4]
  call('HSET', keys[2], args[2], value)
  all_or_nothing(function()
    call('HSET', keys[1], 'generation', generation)
  end, function()
    if held then take_back('HSET', keys[2], args[2], held)
    else take_back('HDEL', keys[2], args[2]) end
  end)
  return generation
end

-- KEYS meta, functions · ARGV epoch, name. Answers whether it existed.
local function remove(keys, args)
  check_epoch(keys[1], args[1])
  return call('HDEL', keys[2], args[2])
end

-- KEYS functions. Answers name, value, ….
local function list_functions(keys) return call('HGETALL', keys[1]) end

-- KEYS meta, workers · ARGV epoch, name, what it said of itself, or "gone" as a fourth.
local function note_worker(keys, args)
  check_epoch(keys[1], args[1])
  if args[4] then call('HDEL', keys[2], args[2]) else call('HSET', keys[2], args[2], args[3]) end
  return 0
end

-- KEYS workers. Answers their names.
local function list_workers(keys) return call('HKEYS', keys[1]) end

local function digest() return '@DIGEST@' end

local function register(name, callback, flags)
  redis.register_function{
    function_name = 'fanfare_' .. name,
    callback = function(keys, args)
      if not all_slots then prepare() end
      return callback(keys, args)
    end,
    flags = flags,
  }
end
register('append', append, {})
register('commit', commit, {'allow-oom'})
register('postpone', postpone, {'allow-oom'})
register('bury', bury, {'allow-oom'})
register('begin', begin, {'allow-oom'})
register('deploy', deploy, {})
register('remove', remove, {'allow-oom'})
register('note_worker', note_worker, {'allow-oom'})
register('recall', recall, {'no-writes'})
register('page', page, {'no-writes'})
register('due', due, {'no-writes'})
register('survey', survey, {'no-writes'})
register('list_functions', list_functions, {'no-writes'})
register('list_workers', list_workers, {'no-writes'})
register('digest', digest, {'no-writes'})
