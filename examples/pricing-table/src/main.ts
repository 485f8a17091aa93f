import { Limitr } from 'limitr';

import text from '../policy.yaml?raw';
import { money, number, type Offer, offers } from './describe.ts';

const policy = await Limitr.new(text);
const { policy: definition } = policy.doc.record();
const plans = document.getElementById('plans')!;
const slider = document.getElementById('calls') as HTMLInputElement;

/** An element with a class and children; text is never read as HTML. */
function element(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function card({ id, label, tagline, price, period, features }: Offer): HTMLElement {
  const items = features.map(({ included, beyond = '' }) =>
    element('li', '', element('strong', '', included), element('small', '', beyond)),
  );
  const made = element(
    'article',
    'plan',
    element('h2', '', label),
    element('p', 'tagline', tagline),
    element('p', 'price', element('b', '', price), ` / ${period}`),
    element('p', 'bill'),
    element('ul', '', ...items),
  );
  made.dataset['plan'] = id;
  return made;
}

/** What each plan bills for so many calls, decided by the engine that will bill them. */
async function bill(calls: number): Promise<void> {
  document.getElementById('amount')!.textContent = number(calls);
  const offered = [...plans.children] as HTMLElement[];
  const bills = await Promise.all(
    offered.map(async ({ dataset }) => {
      const plan = dataset['plan']!;
      const { mode, value } = (await policy.limitObject(plan, 'calls'))!;
      if (mode === 'hard' && calls > Number(value)) return undefined;
      const subscribed = (await policy.limitObject(plan, 'subscription')) !== undefined;
      const usage = subscribed ? { calls, subscription: 1 } : { calls };
      return (await policy.marginSnapshot(plan, usage, false))?.revenue;
    }),
  );
  const best = Math.min(...bills.map((revenue) => revenue ?? Infinity));
  offered.forEach((plan, at) => {
    const revenue = bills[at];
    const told = revenue === undefined ? 'Stops before that' : `${money(revenue)} with this usage`;
    plan.querySelector('.bill')!.textContent = told;
    plan.classList.toggle('best', revenue === best);
  });
}

plans.append(...offers(definition).map(card));
const chosen = (): number => Number((10 ** Number(slider.value)).toPrecision(2));
slider.addEventListener('input', () => void bill(chosen()));
await bill(chosen());
