// webhooks.mjs URL TOKEN SECRET: signs webhooks with the library of Standard Webhooks and sends them to
// /webhooks/shop; ends with an AssertionError if an answer differs.
//
// The function introspect of the tests is deployed there, for the type webhook.received.
import assert from 'node:assert/strict';
import { Webhook } from 'standardwebhooks';

const [url, token, secret] = process.argv.slice(2);
const webhook = new Webhook(secret);
const post = (id, body, { time = new Date(), signer = webhook, signed = body } = {}) => fetch(`${url}/webhooks/shop`, {
  method: 'POST', body,
  headers: {
    'Content-Type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${Math.floor(time / 1000)}`,
    'webhook-signature': signer.sign(id, time, signed),
  },
});

const body = JSON.stringify({ type: 'order.placed', data: { name: 'Zoë', total: 12 } });
const accepted = await post('msg_1', body);
assert.equal(accepted.status, 202);
const receipt = await accepted.json();
const result = await fetch(`${url}/results/${receipt.id}/introspect?wait=10s`, { headers: { Authorization: `Bearer ${token}` } });
const { output } = await result.json();
assert.equal(output.data, body);
assert.equal(output.ce_id, 'msg_1');
assert.equal(output.source, '/webhooks/shop');

const again = await (await post('msg_1', body)).json();
assert.equal(again.id, receipt.id);
assert.equal(again.duplicate, true);

const another = new Webhook(`whsec_${Buffer.alloc(24, 7).toString('base64')}`);
for (const wrong of [{ signer: another }, { signed: '{}' }, { time: new Date(Date.now() - 3_600_000) }]) {
  assert.equal((await post('msg_2', body, wrong)).status, 401);
}
console.log('every webhook of the library is taken by', url);
