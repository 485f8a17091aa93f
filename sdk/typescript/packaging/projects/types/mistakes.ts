// Each statement after the first is a mistake that the compiler must find.
import { Limitr } from 'limitr';
const policy = await Limitr.new('');
policy.on('meter-limt', () => {});
policy.on('meter-limit', ({ overage_price }) => overage_price);
await policy.alow('ada', 'chat');
await policy.allow('ada', 'chat', true);
const left: number = await policy.remaining('ada', 'chat');
await Limitr.new('', 'xml');
await policy.persist({ load: async () => [] });
