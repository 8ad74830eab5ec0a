
-- Groups: the deliveries of one entry, and what became of them

-- Reads the groups that start at KEYS[key] and ARGV[arg]. `per_item` arguments of each item, or
-- `per_group` of each group, follow all heads, in order. Returns the groups and the number of items.
local function read_groups(keys, args, key, arg, per_item, per_group)
  per_group = per_group or 0
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
      -- ARGV of the first item, or of all of them
      first = first + items * per_item + (g - 1) * per_group,
      before_items = items,              -- in the groups before it
      ok = n,                            -- how many items go through
      picked = nil,                      -- their positions, unless all do
      verdicts = all_ok[n],
    }
    items = items + n
    key, arg = key + 3, arg + 2
  end
  if items > kItemsMax then bad_call('more than 256 items') end
  if #args ~= first + items * per_item + count * per_group - 1 then bad_call('number of arguments') end
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

-- Ordering keys that deliveries keep while they lie in `later`: id → key, in a hash that is named after
-- the rows'. Read for a group of `later` whose rows are about to be changed; most functions have none.
local function held_key_of(rows) return sub(rows, 1, -5) .. 'held' end
local function read_held(group, rows, ids)
  local key = held_key_of(rows)
  if call('EXISTS', key) == 0 then return end
  group.held_key, group.held = key, call('HMGET', key, unpack(ids))
end
local function undo_held(group)
  for i, key in pairs(group.held or {}) do
    if key then take_back('HSET', group.held_key, id_of(group, i), key) end
  end
end

-- What a token left behind says to the attempt that asks.
local function verdict_by_token(left, token)
  return sub(left, 1, 4) == token and kDuplicate or kFenced
end

-- For deliveries whose state is no longer there: the stored result or the row tells who was it.
local function judge_closed(group, rows)
  local results = read_results(group.results, fields_of(group))
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
  if not group.refused and slots == sub(all_slots, first + 1, first + n) and first + n <= size and
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
      if group.refused and group.refused[i] then return group.refused[i] end
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

-- Ends items that would have gone through with other verdicts: refused[i].
local function refuse_items(group, refused, rows)
  group.refused = refused
  if group.origin == kJournal and group.size > 1 then
    group.picked, group.closes, group.after = nil, nil, nil
    return judge_states(group, rows)
  end
  local verdicts = group.verdicts
  judge_each(group, function(i) return refused[i] or sub(verdicts, i, i) end)
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
  local there = call('XDEL', group.journal, group.entry) == 1
  -- Cannot fail. After the entry, which would miss them.
  if there then take_back('UNLINK', events_key_of(group.journal, group.entry)) end
  return there or group.size > 1
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
