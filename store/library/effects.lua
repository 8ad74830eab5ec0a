
-- Effects: what the end of a delivery brings about beside its result, if and only if its verdict is ok
--
-- commit and bury exist twice: fanfare_commit and fanfare_bury as they are, fanfare_commit_with and
-- fanfare_bury_with with effects before everything else: kEffectKeys keys, named in kEffects, and the
-- arguments: number of effects, then per effect the ordinal of its item (from 0, over all groups in the
-- order of the call; ascending), its kind, and what that kind takes.

-- The keys that effects may write: outbox.
local kEffectKeys = 1

-- By kind: how many arguments it takes, and write(keys, args, at), which gets them from ARGV[at] on. It
-- answers a function that takes back what it wrote, for when a later write of the same unit fails.
local kEffects = {
  -- ARGV to (a function's name, or empty), packed event
  publish = {arguments = 2, write = function(keys, args, at)
    local outbox = keys[1]
    local id = call('XADD', outbox, '*', 'to', args[at], 'event', args[at + 1])
    return function() take_back('XDEL', outbox, id) end
  end},
}

local function rest_of(list, from)
  local rest = {}
  for i = from, #list do rest[i - from + 1] = list[i] end
  return rest
end

-- Reads the effects that stand before a call. Returns them by ordinal, and what follows them.
local function read_effects(keys, args)
  local n, at, last = tonumber(args[1]), 2, 0
  if not n or #keys < kEffectKeys then bad_call('effects') end
  local by_item = {}
  for _ = 1, n do
    local item, kind = tonumber(args[at]), kEffects[args[at + 1] or '']
    if not item or item < last or not kind or #args < at + 1 + kind.arguments then
      bad_call('effect')
    end
    last = item
    by_item[item] = by_item[item] or {}
    table.insert(by_item[item], {write = kind.write, at = at + 2})
    at = at + 2 + kind.arguments
  end
  local effects = {by_item = by_item, keys = keys, args = args, last = last}
  return effects, rest_of(keys, kEffectKeys + 1), rest_of(args, at)
end

local function check_effects(effects, items)
  if effects and effects.last >= items then bad_call('effect of no item') end
end

-- Writes the effects of a group's items that go through; `effects` may be nil.
local function write_effects(group, effects)
  if not effects then return end
  group.effects = {}
  for _, i in ipairs(picked_of(group)) do
    for _, effect in ipairs(effects.by_item[group.before_items + i - 1] or {}) do
      table.insert(group.effects, effect.write(effects.keys, effects.args, effect.at))
    end
  end
end
local function undo_effects(group)
  local written = group.effects or {}
  group.effects = nil
  for i = #written, 1, -1 do written[i]() end
end
