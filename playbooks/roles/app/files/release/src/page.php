<?php
/** @var array{server: string, release: string, database: string, client: string, notes: list<array<string, mixed>>} $answer */
$text = static fn (mixed $value): string => htmlspecialchars((string) $value, ENT_QUOTES | ENT_SUBSTITUTE);
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guest book</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  li { margin: .5rem 0 } small, footer { color: #666 }
</style>
<h1>Guest book</h1>
<form method="post" action="/notes">
  <label>Your note <input name="text" maxlength="500" required></label>
  <button>Write</button>
</form>
<ol reversed>
<?php foreach ($answer['notes'] as $note): ?>
  <li><?= $text($note['text']) ?> <small>through <?= $text($note['server']) ?>, <?= $text($note['written']) ?></small></li>
<?php endforeach ?>
</ol>
<footer>Answered by <?= $text($answer['server']) ?>, release <?= $text($answer['release']) ?>; read from <?= $text($answer['database']) ?> for <?= $text($answer['client']) ?>.</footer>
</html>
