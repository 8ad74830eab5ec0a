// received.mjs FILE SECRET: whether the libraries of Standard Webhooks and CloudEvents take what functions/notify has
// posted; ends with an AssertionError if one does not.
//
// FILE has a JSON array of {"format": …, "sent": …, "headers": …, "body": …}: NOTIFY_FORMAT, and the data it was given.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { HTTP } from 'cloudevents';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

const [file, secret] = process.argv.slice(2);
const requests = JSON.parse(await readFile(file, 'utf8'));
assert.equal(requests.length, 8);
const webhook = new Webhook(secret);
for (const { format, sent, headers, body } of requests) {
  assert.deepEqual(webhook.verify(body, headers), JSON.parse(body));
  assert.throws(() => webhook.verify(`${body} `, headers), WebhookVerificationError);
  assert.equal(HTTP.isEvent({ headers, body }), format.startsWith('cloudevents'));
  if (format === 'sns') {
    assert.equal(JSON.parse(body).Message, sent);
    assert.equal(JSON.parse(body).MessageId, headers['x-amz-sns-message-id']);
    continue;
  }
  if (format === 'event') {
    assert.deepEqual(JSON.parse(body).data, JSON.parse(sent));
    continue;
  }
  assert.equal(headers['content-type'].startsWith('application/cloudevents+json'), format === 'cloudevents');
  const event = HTTP.toEvent({ headers, body });
  assert.ok(event.validate());
  assert.equal(event.type, 'notify');
  assert.equal(event.source, '/tests');
  assert.deepEqual(event.data, JSON.parse(sent));
}
console.log(requests.length, 'webhooks are taken');
