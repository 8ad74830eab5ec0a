
-- Packed: what several deliveries of one entry have, in one value; per delivery index u8, length u32,
-- bytes. One value costs Redis a fraction of what as many fields do, from layout 2 on.

local kEventsField = 'events'  -- of a journal's entry of several deliveries

-- As fields: index, bytes, index, bytes, ….
local function fields_of_packed(packed)
  local fields, at = {}, 1
  while at <= #packed do
    if at + 4 > #packed then bad_call('packed') end
    local index, bytes = unpack_struct('>BI4', packed, at)
    if at + 4 + bytes > #packed then bad_call('packed') end
    fields[#fields + 1] = string.format('%d', index)
    fields[#fields + 1] = sub(packed, at + 5, at + 4 + bytes)
    at = at + 5 + bytes
  end
  return fields
end

-- Events from some size on lie beside their entry, whose value then is empty. Lua hashes each byte that
-- it is handed, so whoever appends puts them where they are `staged`, and the append moves them unseen.
local kBeside = ''
local function events_key_of(journal, entry) return journal .. ':' .. entry end
local function staged_key_of(journal, entry, epoch)
  return events_key_of(journal, entry) .. ':' .. epoch
end

local function lack_events(key) error({err = 'ERR ' .. key .. ' is not there'}) end

-- The fields of a journal's entry with its events, wherever these lie.
local function with_events(journal, entry, fields)
  if fields[2] ~= kBeside then return fields end
  local key = events_key_of(journal, entry)
  fields[2] = look('GET', key) or lack_events(key)
  return fields
end

local function bytes_beside(journal, entry)
  local key = events_key_of(journal, entry)
  local bytes = look('STRLEN', key)
  if bytes == 0 then lack_events(key) end
  return bytes
end

-- By index, whichever layout the entry was written in.
local function fields_of_entry(journal, entry)
  local fields = with_events(journal, entry[1], entry[2])
  return fields[1] == kEventsField and fields_of_packed(fields[2]) or fields
end

-- The bytes of those indexes that `wanted` has, each into its place in `found`.
local function pick_from_packed(packed, wanted, found)
  local at = 1
  while at + 4 <= #packed do
    local index, bytes = unpack_struct('>BI4', packed, at)
    if wanted[index] then found[wanted[index]] = sub(packed, at + 5, at + 4 + bytes) end
    at = at + 5 + bytes
  end
end

-- Results that were committed together, of neighbours: one field, named by the first and the last index.
-- Where there is one there is also the field kSpansField, so that nobody looks for them in vain.
local kSpansField = 'spans'
local function span_name(first, last) return string.format('%d-%d', first, last) end

-- From some size on they lie beside it, as events do, and the field's value is empty. An attempt stages
-- them; the token of the first item tells it from others.
local function span_key_of(results, span) return results .. ':' .. span end
local function staged_span_key_of(results, span, token)
  return string.format('%s:%s:%d', results, span, (unpack_struct('>I4', token)))
end

-- What lies in `results` for these indexes, of which there are at most 256: a value or false for each.
local function read_results(results, indexes)
  local count = #indexes
  indexes[count + 1] = kSpansField
  local found, wanted = call('HMGET', results, unpack(indexes)), {}
  indexes[count + 1] = nil
  for i = 1, count do
    if not found[i] then wanted[tonumber(indexes[i])] = i end
  end
  if not next(wanted) or not found[count + 1] then return found end
  for _, name in ipairs(call('HKEYS', results)) do
    local first, last = string.match(name, '^(%d+)%-(%d+)$')
    local any = false
    for index = tonumber(first or 1), tonumber(last or 0) do any = any or wanted[index] end
    if any then
      local packed = call('HGET', results, name)
      if packed == kBeside then packed = call('GET', span_key_of(results, name)) or '' end
      pick_from_packed(packed, wanted, found)
    end
  end
  return found
end
