import { Limitr } from 'limitr';

const POLICY = `
policy:
  credits:
    image: { label: Image, stof_units: int }
  plans:
    free:
      default: true
      entitlements:
        images: { limit: { credit: image, value: 5, resets: true, reset_inc: 1day } }
`;
const HOUR = 3_600_000;

const policy = await Limitr.new(POLICY);
await policy.createCustomer('visitor');
const limit = (await policy.limit('visitor', 'images')) ?? 0;

const element = (id: string): HTMLElement => document.getElementById(id)!;
const [button, bar, outcome, log] = ['generate', 'bar', 'outcome', 'log'].map(element) as [
  HTMLButtonElement,
  HTMLElement,
  HTMLElement,
  HTMLElement,
];

async function show(): Promise<void> {
  const used = (await policy.value('visitor', 'images')) ?? 0;
  const percent = (await policy.value('visitor', 'images', true)) ?? 0;
  element('used').textContent = String(used);
  element('limit').textContent = `of ${limit} today`;
  bar.setAttribute('aria-valuemax', String(limit));
  bar.setAttribute('aria-valuenow', String(used));
  bar.setAttribute('aria-valuetext', `${used} of ${limit} used`);
  bar.classList.toggle('full', percent >= 100);
  (bar.firstElementChild as HTMLElement).style.width = `${percent}%`;
}

function tell(allowed: boolean, text: string): void {
  outcome.className = allowed ? 'allowed' : 'denied';
  outcome.textContent = text;
  const entry = document.createElement('li');
  entry.className = outcome.className;
  entry.innerHTML = `<span>images</span><span>${allowed ? 'allowed' : 'denied'}</span>`;
  log.prepend(entry);
}

policy.on('meter-changed', ({ remaining }) => tell(true, `Allowed: ${remaining} left`));
policy.on('meter-limit', async () => {
  const { retry_after = 0 } = await policy.explain('visitor', 'images', 1);
  tell(false, `Denied: limit reached, again in ${Math.ceil(retry_after / HOUR)} hours`);
});

button.addEventListener('click', async () => {
  await policy.increment('visitor', 'images');
  await show();
});

await show();
button.disabled = false;
