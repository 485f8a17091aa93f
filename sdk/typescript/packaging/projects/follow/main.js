// One program for every runtime with files: it follows the server that the environment names, and prints what happened.
import { Limitr } from 'limitr';

const policy = await Limitr.cloud({ token: 'limitr_test', onError: ({ message }) => console.error(message) });
const created = await policy?.ensureCustomer('ada', 'growth');
const allowed = await policy?.allow('ada', 'chat', 40);
const remaining = await policy?.remaining('ada', 'chat');
console.log(JSON.stringify({ connected: policy?.connected, created, allowed, remaining, stored: await policy?.close() }));
