// cloudevents.mjs URL TOKEN: publishes CloudEvents with their SDK, and reads results with it; ends with an
// AssertionError if an answer differs.
//
// The function introspect of the tests is deployed there, for the type order.placed; crash for order.lost.
import assert from 'node:assert/strict';
import { CloudEvent, HTTP, Mode, emitterFor, httpTransport } from 'cloudevents';

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const get = (path, Accept) => fetch(url + path, { headers: Accept ? { ...headers, Accept } : headers });
const message = async (answer) => ({ headers: Object.fromEntries(answer.headers), body: await answer.text() });
const order = (id, data, more = {}) => new CloudEvent({
  id, source: '/shop', type: 'order.placed', subject: 'basket 7', time: '2026-11-28T12:00:00.000Z', data, ...more,
});

// One event each in binary and in structured mode
const total = { total: 12, name: 'Zoë' };
const ids = [];
for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(httpTransport(`${url}/events`), { binding: HTTP, mode });
  const event = order(`${mode} 1`, total, { datacontenttype: 'application/json', region: 'north' });
  const receipt = JSON.parse((await emit(event, { headers })).body);
  assert.deepEqual(receipt.functions, ['introspect']);
  const { output } = await (await get(`/results/${receipt.id}/introspect?wait=10s`)).json();
  assert.equal(output.ce_id, event.id);
  assert.equal(output.source, event.source);
  assert.equal(output.type, event.type);
  assert.equal(output.subject, event.subject);
  assert.equal(output.time, event.time);
  assert.equal(output.content_type, event.datacontenttype);
  assert.equal(output.extensions, 1);
  assert.deepEqual(JSON.parse(output.data), total);
  const again = JSON.parse((await emit(event, { headers })).body);
  assert.equal(again.id, receipt.id);
  assert.equal(again.duplicate, true);
  ids.push(receipt.id);

  const bytes = order(`${mode} 2`, new Uint8Array([0x68, 0x69]), { datacontenttype: 'application/octet-stream' });
  const taken = JSON.parse((await emit(bytes, { headers })).body);
  const read = await (await get(`/results/${taken.id}/introspect?wait=10s`)).json();
  assert.equal(read.output.data, 'hi');
  assert.equal(read.output.content_type, 'application/octet-stream');
}

// A batch, of which one was there before
const batch = [order('batch 1', total), order('binary 1', total), order('batch 2', 'text')];
const answer = await fetch(`${url}/events`, {
  method: 'POST', body: JSON.stringify(batch), headers: { ...headers, 'Content-Type': 'application/cloudevents-batch+json' },
});
assert.equal(answer.status, 202);
const receipts = await answer.json();
assert.equal(receipts.length, 3);
assert.equal(receipts[1].id, ids[0]);
assert.equal(receipts[1].duplicate, true);

// What comes out is a CloudEvent: in binary mode, in structured mode, in a batch
const record = await (await get(`/results/${ids[0]}/introspect`)).json();
const [binary, structured] = await Promise.all([undefined, 'application/cloudevents+json'].map(async (accept) => {
  const result = await get(`/results/${ids[0]}/introspect`, accept);
  assert.match(result.headers.get('content-type'), accept ? /^application\/cloudevents\+json/ : /^application\/json$/);
  return HTTP.toEvent(await message(result));
}));
for (const event of [binary, structured]) {
  assert.ok(event.validate());
  assert.equal(event.type, 'function.succeeded');
  assert.equal(event.source, '/functions/introspect');
  assert.equal(event.subject, ids[0]);
  assert.equal(event.datacontenttype, 'application/json');
  assert.deepEqual(event.data, record);
  assert.equal(event.data.output.ce_id, 'binary 1');
}
assert.equal(structured.id, binary.id);
assert.equal(structured.time, binary.time);
const all = await get(`/results/${ids[0]}`, 'application/cloudevents-batch+json');
const [listed, ...more] = HTTP.toEvent(await message(all));
assert.equal(more.length, 0);
assert.deepEqual(listed.toJSON(), structured.toJSON());
assert.equal((await (await get(`/results/${ids[0]}`)).json()).length, 1);

// A result that is published again is an event as any other
const emit = emitterFor(httpTransport(`${url}/events`), { binding: HTTP, mode: Mode.STRUCTURED });
assert.deepEqual(JSON.parse((await emit(structured, { headers })).body).functions, []);

// A failure
const lost = new CloudEvent({ source: '/shop', type: 'order.lost', data: 'exit 3', datacontenttype: 'text/plain' });
const { id } = JSON.parse((await emit(lost, { headers })).body);
const failed = HTTP.toEvent(await message(await get(`/results/${id}/crash?wait=10s`, 'application/cloudevents+json')));
assert.equal(failed.type, 'function.failed');
assert.equal(failed.data.status, 'failed');
assert.ok(failed.data.error.message);

// What is not to be had
assert.equal((await get(`/results/${ids[0]}`, 'application/cloudevents+avro')).status, 406);
assert.equal((await get(`/results/${ids[0]}/nobody`, 'application/cloudevents+json')).status, 404);
console.log('every event of', url, 'is one to the SDK');
