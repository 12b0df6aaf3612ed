/**
 * Lua for the members of the sorted set of delayed jobs: the id, the time and the payload of a job, separated by line
 * feeds. For a job that was delivered before, an empty line, the number of deliveries and its history precede the
 * payload, which has no line feed in front.
 */
export const delayedLua: string = `
local function fieldsOfMember(member)
  local id, at, payload = string.match(member, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  local attempts, history, rest = string.match(payload, '^\\n(%d+)\\n([^\\n]*)\\n(.*)$')
  local fields = {'id', id, 'at', at, 'payload', rest or payload}
  if attempts then
    fields[7], fields[8] = 'attempts', attempts
    if history ~= '[]' then fields[9], fields[10] = 'history', history end
  end
  return fields
end
-- The deliveries made are those of the entry itself; what it has as a field, earlier entries had.
local function memberOfEntry(entry, deliveries)
  local of = {}
  for i = 1, #entry[2], 2 do of[entry[2][i]] = entry[2][i + 1] end
  local attempts = deliveries + (tonumber(of.attempts) or 0)
  local lines = {of.id, of.at}
  if attempts > 0 or of.history then
    lines[3], lines[4], lines[5] = '', string.format('%.0f', attempts), of.history or '[]'
  end
  lines[#lines + 1] = of.payload
  return table.concat(lines, '\\n')
end
`;
