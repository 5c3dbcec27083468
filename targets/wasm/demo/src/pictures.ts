// Two networks on the same picture: classes, time of a run, and of each step.

import { Model } from "mote-runtime";
import { type Page, acceptFiles, hasCamera, show, snapshot } from "mote-runtime/page";

import { choosePlan, provided, told } from "./provided.js";

const part = <Part extends HTMLElement>(role: string) => document.querySelector<Part>(`[data-role="${role}"]`)!;

const pages: (Page | null)[] = [null, null];
let picture: Blob | ImageBitmap | undefined;

async function take(source: Blob | ImageBitmap) {
  picture = source;
  // One behind the other: they would share the processor otherwise.
  for (const page of pages) await page?.take(picture);
}

part<HTMLInputElement>("picture").addEventListener("change", ({ target }) => {
  const file = (target as HTMLInputElement).files?.[0];
  if (file) take(file);
});
acceptFiles(document.querySelector<HTMLElement>(".drop")!, take);
part("snapshot").hidden = !hasCamera();
part("snapshot").addEventListener("click", () => told(async () => take(await snapshot())));

told(async () => {
  const { pictures, samples } = await provided();
  part("samples").append(
    ...samples.map(({ name, file }) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: name });
      button.append(Object.assign(new Image(), { src: file, alt: name }));
      button.addEventListener("click", () => told(async () => take(await (await fetch(file)).blob())));
      return button;
    }),
  );
  const articles = Array.from(document.querySelectorAll<HTMLElement>("article"));
  await Promise.all(
    articles.map((article, side) =>
      choosePlan(article, pictures, side, (name, source) =>
        told(async () => {
          pages[side] = null;
          const root = article.querySelector("div")!;
          root.replaceChildren();
          pages[side] = show(root, await Model.load(source), { name, form: false });
          if (picture) await pages[side].take(picture);
        }),
      ),
    ),
  );
});
