// received.mjs FILE SECRET: whether the library of Standard Webhooks verifies what functions/notify has posted; ends
// with an AssertionError if it does not.
//
// FILE has a JSON array of {"headers": …, "body": …}.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

const [file, secret] = process.argv.slice(2);
const requests = JSON.parse(await readFile(file, 'utf8'));
assert.ok(requests.length > 0);
const webhook = new Webhook(secret);
for (const { headers, body } of requests) {
  assert.deepEqual(webhook.verify(body, headers), JSON.parse(body));
  assert.throws(() => webhook.verify(`${body} `, headers), WebhookVerificationError);
}
console.log(requests.length, 'webhooks are verified');
