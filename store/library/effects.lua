
-- Effects: what the end of a delivery brings about beside its result, if and only if its verdict is ok
--
-- commit and bury exist twice: fanfare2_commit and fanfare2_bury as they are, fanfare2_commit_with and
-- fanfare2_bury_with with effects before everything else: kEffectKeys keys, named in kEffects, and the
-- arguments: number of effects, then per effect the ordinal of its item (from 0, over all groups in the
-- order of the call; ascending), its kind, and what that kind takes.

-- The keys that effects may write: outbox; store, its keys, its expiries; counts.
local kEffectKeys = 5

-- By kind: how many arguments it takes, and write(keys, args, at), which gets them from ARGV[at] on. It
-- answers a function that takes back what it wrote, for when a later write of the same unit fails.
-- Writes on rows are gathered per group, see judge_rows.
local kEffects = {
  -- ARGV to (a function's name, or empty), packed event
  publish = {arguments = 2, write = function(keys, args, at)
    local outbox = keys[1]
    local id = call('XADD', outbox, '*', 'to', args[at], 'event', args[at + 1])
    return function() take_back('XDEL', outbox, id) end
  end},
  -- ARGV now in ms, most rows, most bytes, writes; at most one per item, of commit only
  rows = {arguments = 4, rows = true},
}

local function rest_of(list, from)
  local rest = {}
  for i = from, #list do rest[i - from + 1] = list[i] end
  return rest
end

-- Reads the effects that stand before a call. Returns them by ordinal, and what follows them.
local function read_effects(keys, args, takes_rows)
  local n, at, last, store = tonumber(args[1]), 2, 0, nil
  if not n or #keys < kEffectKeys then bad_call('effects') end
  local by_item = {}
  for _ = 1, n do
    local item, kind = tonumber(args[at]), kEffects[args[at + 1] or '']
    if not item or item < last or not kind or #args < at + 1 + kind.arguments then
      bad_call('effect')
    end
    last = item
    by_item[item] = by_item[item] or {}
    if not kind.rows then
      table.insert(by_item[item], {write = kind.write, at = at + 2})
    elseif takes_rows and not by_item[item].writes then
      by_item[item].writes = parse_writes(args[at + 5])
      store = store or open_store(keys, 2, keys[5], args, at + 2)
    else
      bad_call('effect on rows')
    end
    at = at + 2 + kind.arguments
  end
  local effects = {by_item = by_item, keys = keys, args = args, last = last, store = store}
  return effects, rest_of(keys, kEffectKeys + 1), rest_of(args, at)
end

local function check_effects(effects, items)
  if effects and effects.last >= items then bad_call('effect of no item') end
end

-- Folds the writes on rows of the items of a group that go through into one change, group.change. What
-- cannot be written ends its item with the verdict why. Before any write: groups are folded in the order
-- in which they are written.
local function judge_rows(group, effects, later_rows)
  local store = effects and effects.store
  if not store then return end
  -- XDEL must not find an entry of one closed when later groups build on what this one writes.
  if group.origin == kJournal and group.size == 1 and group.ok == 1 and
      #call('XRANGE', group.journal, group.entry, group.entry) == 0 then
    judge_closed(group, later_rows)
  end
  if group.ok == 0 then return end
  local change, refused, some = new_change(), {}, false
  for _, i in ipairs(picked_of(group)) do
    local of_item = effects.by_item[group.before_items + i - 1]
    local refusal = of_item and of_item.writes and fold(store, change, of_item.writes)
    if refusal then refused[i], some = refusal, true end
  end
  group.change = change
  if some then refuse_items(group, refused, later_rows) end
end

-- Writes the effects of a group's items that go through; `effects` may be nil.
local function write_effects(group, effects)
  if not effects then return end
  group.effects = {}
  if group.change then write_change(effects.store, group.change) end
  for _, i in ipairs(picked_of(group)) do
    for _, effect in ipairs(effects.by_item[group.before_items + i - 1] or {}) do
      table.insert(group.effects, effect.write(effects.keys, effects.args, effect.at))
    end
  end
end
local function undo_effects(group, effects)
  local written = group.effects or {}
  group.effects = nil
  for i = #written, 1, -1 do written[i]() end
  if group.change then undo_change(effects.store, group.change) end
end
