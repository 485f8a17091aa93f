import { demo } from './demo.ts';

const { rounds, used, limit, held, learned } = await demo();
console.table(rounds);
console.log(`${used} of ${limit} tokens used, ${held} still held`);
console.log(`learned: ${learned.summary} tokens for a summary of 200, ${learned.story} for a story`);
