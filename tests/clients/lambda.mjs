// lambda.mjs URL TOKEN: calls functions with the AWS SDK for JavaScript as any program does; ends with an
// AssertionError if an answer differs.
//
// The functions calls, chatty, crash and sleepy of the tests are deployed there, sleepy with room for few events.
import assert from 'node:assert/strict';
import {
  InvokeCommand, LambdaClient, LambdaServiceException, RequestTooLargeException, ResourceNotFoundException,
  TooManyRequestsException,
} from '@aws-sdk/client-lambda';

const [url, token] = process.argv.slice(2);
const lambda = new LambdaClient({
  endpoint: url, region: 'eu-north-1', maxAttempts: 1,
  credentials: { accessKeyId: token, secretAccessKey: 'any' },
});
const invoke = (FunctionName, Payload, more = {}, by = lambda) =>
  by.send(new InvokeCommand({ FunctionName, Payload, ...more }));
const text = (answer) => Buffer.from(answer.Payload).toString();

// RequestResponse
let answer = await invoke('calls', 'echo hello');
assert.equal(answer.StatusCode, 200);
assert.equal(answer.FunctionError, undefined);
assert.equal(answer.ExecutedVersion, '$LATEST');
assert.equal(text(answer), 'hello');
answer = await invoke('arn:aws:lambda:eu-north-1:123456789012:function:calls', 'echo x', { Qualifier: '$LATEST' });
assert.equal(text(answer), 'x');
const long = 'ä'.repeat(200_000);
assert.equal(text(await invoke('calls', `echo ${long}`)), long);

// The log's tail
answer = await invoke('chatty', 'say this', { LogType: 'Tail' });
assert.match(Buffer.from(answer.LogResult, 'base64').toString(), /printf say this/);

// What the function fails with
answer = await invoke('crash', 'exit 3');
assert.equal(answer.StatusCode, 200);
assert.equal(answer.FunctionError, 'Unhandled');
const error = JSON.parse(text(answer));
assert.ok(error.errorType && error.errorMessage, text(answer));

// DryRun, Event
assert.equal((await invoke('calls', undefined, { InvocationType: 'DryRun' })).StatusCode, 204);
answer = await invoke('calls', 'echo later', { InvocationType: 'Event' });
assert.equal(answer.StatusCode, 202);
const id = answer.$metadata.requestId;
const headers = { Authorization: `Bearer ${token}` };
const record = await (await fetch(`${url}/results/${id}/calls?wait=10s`, { headers })).json();
assert.equal(record.output, 'later');

// Typed exceptions
const fails = async (call, type, status) => {
  const thrown = await call.then(() => assert.fail('no exception'), (e) => e);
  assert.ok(thrown instanceof type, thrown);
  assert.equal(thrown.$metadata.httpStatusCode, status);
  assert.ok(thrown.message, 'it says what is wrong');
  return thrown;
};
for (const InvocationType of ['RequestResponse', 'Event', 'DryRun']) {
  const unknown = await fails(invoke('nobody', '{}', { InvocationType }), ResourceNotFoundException, 404);
  assert.match(unknown.message, /nobody/);
}
await fails(invoke('calls', '{}', { Qualifier: '7' }), ResourceNotFoundException, 404);
const large = 'x'.repeat(7 << 20);  // more than the gateway takes; then more than the broker does
for (const payload of [large, large.slice(0, 3 << 20)]) {
  await fails(invoke('calls', payload), RequestTooLargeException, 413);
  await fails(invoke('calls', payload, { InvocationType: 'Event' }), RequestTooLargeException, 413);
}
const flood = async () => {
  for (let i = 0; i < 20; ++i) await invoke('sleepy', '2000', { InvocationType: 'Event' });
};
const throttled = await fails(flood(), TooManyRequestsException, 429);
assert.equal(throttled.retryAfterSeconds, '1');

// Whose access key is no token
const stranger = new LambdaClient({
  endpoint: url, region: 'eu-north-1', maxAttempts: 1,
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' },
});
for (const InvocationType of ['RequestResponse', 'Event', 'DryRun']) {
  const refused = await fails(invoke('calls', 'echo x', { InvocationType }, stranger), LambdaServiceException, 403);
  assert.equal(refused.name, 'UnrecognizedClientException');
}
console.log('every answer of', url, 'is as at AWS');
