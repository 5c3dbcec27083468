// Two plans on the same picture: classes, time of a run, and of each step.

import { Model } from "mote-runtime";
import { type Page, type Recipe, show } from "mote-runtime/page";

/** ImageNet's statistics, which most networks for pictures were trained with. */
const RECIPE: Recipe = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const pages: (Page | null)[] = [null, null];
let picture: File | undefined;

document.querySelectorAll<HTMLElement>("article").forEach((article, side) => {
  const root = article.querySelector("div")!;
  article.querySelector("input")!.addEventListener("change", async ({ target }) => {
    const file = (target as HTMLInputElement).files?.[0];
    if (!file) return;
    try {
      const model = await Model.load(await file.arrayBuffer());
      pages[side] = show(root, model, { name: file.name, recipe: RECIPE, camera: false });
      if (picture) await pages[side].take(picture);
    } catch (error) {
      pages[side] = null;
      root.textContent = `${file.name}: ${(error as Error).message}`;
    }
  });
});

document.querySelector<HTMLInputElement>('[data-role="picture"]')!.addEventListener("change", async ({ target }) => {
  picture = (target as HTMLInputElement).files?.[0];
  // One behind the other: they would share the processor otherwise.
  for (const page of pages) if (picture && page) await page.take(picture);
});
