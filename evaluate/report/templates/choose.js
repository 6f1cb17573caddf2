// Choosing one of several pictures that are all in the page.
(() => {
  function choose(selects, blocks, shows) {
    if (selects.some((select) => !select)) return;
    const update = () => blocks.forEach((block) => { block.hidden = !shows(block); });
    selects.forEach((select) => select.addEventListener("change", update));
    update();
  }
  const [title, subject] = ["still-name", "still-subject"].map((id) => document.getElementById(id));
  choose([title, subject], document.querySelectorAll(".still"), (block) =>
    block.dataset.title === title.value && block.dataset.subject === subject.value);
  const whose = document.getElementById("multiple-subject");
  choose([whose], document.querySelectorAll(".multiple"), (block) => block.dataset.subject === whose.value);
  const roi = document.getElementById("example-roi");
  choose([roi], document.querySelectorAll(".example"), (block) => block.dataset.index === roi.value);
})();
