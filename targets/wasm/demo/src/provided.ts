// What the demo comes with: `cargo xtask wasm demo` writes the list and the files beside the pages.

export interface Plan {
  name: string;
  file: string;
}

/** Names of files are relative to the page. */
export interface Provided {
  pictures: Plan[];
  streams: Plan[];
  samples: Plan[];
}

/** Nothing where the pages were built without it. */
export async function provided(): Promise<Provided> {
  const answer = await fetch(new URL("provided/index.json", document.baseURI));
  // Some servers answer every address with a page.
  const list = answer.ok && answer.headers.get("content-type")?.includes("json");
  return list ? answer.json() : { pictures: [], streams: [], samples: [] };
}

/**
 * Lets people choose a plan of the list or a file of their own inside `place`: `take` gets the plan's name, and its address
 * or bytes. The plan `first` of the list is taken at once.
 */
export function choosePlan(
  place: HTMLElement,
  plans: Plan[],
  first: number,
  take: (name: string, source: URL | ArrayBuffer) => Promise<void>,
): Promise<void> {
  const label = place.querySelector<HTMLElement>('[data-role="provided"]')!;
  const select = label.querySelector("select")!;
  const chosen = (plan: Plan) => take(plan.name, new URL(plan.file, document.baseURI));
  label.hidden = plans.length === 0;
  select.replaceChildren(...plans.map(({ name }, i) => new Option(name, String(i), false, i === first)));
  select.addEventListener("change", () => chosen(plans[select.selectedIndex]));
  place.querySelector<HTMLInputElement>("[data-plan]")!.addEventListener("change", async ({ target }) => {
    const file = (target as HTMLInputElement).files?.[0];
    if (!file) return;
    select.selectedIndex = -1;
    await take(file.name, await file.arrayBuffer());
  });
  return first < plans.length ? chosen(plans[first]) : Promise.resolve();
}

/** Runs `work`; what fails is told in the page. */
export async function told(work: () => Promise<void>): Promise<void> {
  const trouble = document.querySelector<HTMLElement>('[data-role="trouble"]')!;
  trouble.hidden = true;
  try {
    await work();
  } catch (error) {
    trouble.textContent = (error as Error).message;
    trouble.hidden = false;
  }
}
