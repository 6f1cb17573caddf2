// Pictures may be dropped anywhere on the page; without scripts, the button does the same.
(() => {
  const form = document.getElementById("add");
  const input = document.getElementById("pictures");
  const status = document.getElementById("status");
  const send = () => {
    status.textContent = "predicting …";
    form.requestSubmit();
  };
  input.addEventListener("change", send);
  const over = (event, on) => {
    event.preventDefault();
    form.classList.toggle("over", on);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => over(event, false));
  document.addEventListener("drop", (event) => {
    over(event, false);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    send();
  });
})();
