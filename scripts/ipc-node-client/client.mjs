// What a component does over Greengrass IPC, done by the official client. The
// environment is a component's; the argument is the nucleus to expect. Ends
// with exit code 0 if all of it went as it goes on the real nucleus.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { eventstream_rpc, greengrasscoreipc } from 'aws-iot-device-sdk-v2';

const nucleus = process.argv[2];
const lite = nucleus === 'lite';
const thing = process.env.AWS_IOT_THING_NAME;

// What is waited for comes at once; a hang is a failure.
setTimeout(() => {
  console.error(`${nucleus}: nothing happened for 60 seconds`);
  process.exit(1);
}, 60_000);

async function check(name, f) {
  try {
    await f();
    console.log(`${nucleus}: ${name}`);
  } catch (error) {
    console.error(`${nucleus}: ${name}: FAILED`, error);
    process.exit(1);
  }
}

// refused checks that the service refuses a call with an error of that shape.
async function refused(promise, shape) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.type, eventstream_rpc.RpcErrorType.ServiceError, String(error));
    assert.equal(error.serviceError._errorCode, shape);
    return true;
  });
}

// subscribe activates a streaming operation; the function returned takes its
// messages one by one.
async function subscribe(operation) {
  const messages = [];
  let wake = () => {};
  operation.on('message', (message) => {
    messages.push(message);
    wake();
  });
  await operation.activate();
  return async () => {
    while (messages.length === 0) {
      await new Promise((resolve) => { wake = resolve; });
    }
    return messages.shift();
  };
}

const text = (payload) => Buffer.from(payload).toString();

await check('a wrong token is refused', async () => {
  const config = greengrasscoreipc.createDefaultClientConfig();
  config.connectTransform = async ({ message }) => {
    message.payload = JSON.stringify({ authToken: 'NOSUCHTOKEN00000' });
    return message;
  };
  const stranger = greengrasscoreipc.createClient(config);
  await assert.rejects(stranger.connect());
  await stranger.close();
});

const client = greengrasscoreipc.createClient();
await check('connect', () => client.connect());

await check('read the configuration', async () => {
  const all = await client.getConfiguration({ keyPath: [] });
  assert.equal(all.componentName, 'com.example.node');
  assert.equal(all.value.interval, lite ? '30' : 30);
  assert.deepEqual(all.value.nested, { a: 'x' });
  assert.ok(all.value.accessControl);
  const leaf = await client.getConfiguration({ keyPath: ['nested', 'a'] });
  assert.deepEqual(leaf.value, { a: 'x' });
});

await check('a missing key', () =>
  refused(client.getConfiguration({ keyPath: ['nope'] }), 'ResourceNotFoundError'));

await check('publish, subscribe and receive', async () => {
  const operation = client.subscribeToIoTCore({ topicName: 'agent/in/#', qos: '1' });
  const next = await subscribe(operation);
  await client.publishToIoTCore({ topicName: 'agent/in/x', qos: '1', payload: 'hello' });
  const { message } = await next();
  assert.equal(message.topicName, 'agent/in/x');
  assert.equal(text(message.payload), 'hello');
  await operation.close();
});

await check('access control', async () => {
  await refused(client.publishToIoTCore({ topicName: 'other/x', qos: '1', payload: 'hello' }), 'UnauthorizedError');
  await refused(client.subscribeToIoTCore({ topicName: '#', qos: '1' }).activate(), 'UnauthorizedError');
});

await check('a Defender report is accepted, the next one too soon', async () => {
  const topic = `$aws/things/${thing}/defender/metrics/json`;
  const accepted = await subscribe(client.subscribeToIoTCore({ topicName: `${topic}/accepted`, qos: '1' }));
  const rejected = await subscribe(client.subscribeToIoTCore({ topicName: `${topic}/rejected`, qos: '1' }));
  const report = (id) => JSON.stringify({
    header: { report_id: id, version: '1.0' },
    metrics: { listening_tcp_ports: { ports: [{ port: 22 }], total: 1 } },
  });
  await client.publishToIoTCore({ topicName: topic, qos: '1', payload: report(1) });
  const reply = JSON.parse(text((await accepted()).message.payload));
  assert.deepEqual([reply.thingName, reply.reportId, reply.status], [thing, 1, 'ACCEPTED']);
  await client.publishToIoTCore({ topicName: topic, qos: '1', payload: report(2) });
  const refusal = JSON.parse(text((await rejected()).message.payload));
  assert.deepEqual([refusal.status, refusal.statusDetails.ErrorCode], ['REJECTED', 'Throttled']);
});

await check('local topics', async () => {
  const next = await subscribe(client.subscribeToTopic({ topic: 'local/a' }));
  await client.publishToTopic({ topic: 'local/a', publishMessage: { jsonMessage: { message: { k: 1 } } } });
  assert.deepEqual((await next()).jsonMessage.message, { k: 1 });
  await client.publishToTopic({ topic: 'local/a', publishMessage: { binaryMessage: { message: 'bin' } } });
  const { binaryMessage } = await next();
  assert.equal(text(binaryMessage.message), 'bin');
  assert.equal(binaryMessage.context.topic, 'local/a');
});

await check('update the configuration and hear of it', async () => {
  const next = await subscribe(client.subscribeToConfigurationUpdate({ keyPath: [] }));
  // A whole second is sent as an integer, which nucleus lite refuses.
  const second = Math.ceil(Date.now() / 1000 + 1) * 1000;
  const update = (ms) => client.updateConfiguration({
    keyPath: [], timestamp: new Date(second + ms), valueToMerge: { interval: 60, nested: { b: true } },
  });
  if (lite) {
    await refused(update(0), 'InvalidArgumentsError');
  }
  await update(359);
  // The Java nucleus raises two events for a new leaf, and none in a certain order.
  const changed = [];
  for (let events = lite ? 2 : 3; events > 0; events--) {
    changed.push((await next()).configurationUpdateEvent.keyPath.join('/'));
  }
  assert.deepEqual(changed.sort(), lite ? ['interval', 'nested/b'] : ['interval', 'nested/b', 'nested/b']);
  const { value } = await client.getConfiguration({ keyPath: ['interval'] });
  assert.deepEqual(value, { interval: 60 });
  await refused(client.updateConfiguration({
    keyPath: ['accessControl'], timestamp: new Date(second + 359), valueToMerge: { x: 1 },
  }), 'InvalidArgumentsError');
});

await check('report the state', () => client.updateState({ state: 'RUNNING' }));

await check('what only the Java nucleus has', async () => {
  const validation = client.subscribeToValidateConfigurationUpdates({});
  if (lite) {
    await refused(validation.activate(), 'ServiceError');
  } else {
    await validation.activate();
    await refused(client.getSecretValue({ secretId: 'x' }), 'ServiceError');
  }
});

await check(lite ? 'a frame over 10,000 bytes ends the connection' : 'a payload of 8,000 bytes', async () => {
  const publish = () => client.publishToIoTCore({ topicName: 'agent/large', qos: '1', payload: 'x'.repeat(8_000) });
  if (!lite) {
    await publish();
    return;
  }
  const gone = once(client, 'disconnection');
  publish().catch(() => {}); // the client leaves it unsettled
  await gone;
});

await client.close();
process.exit(0);
