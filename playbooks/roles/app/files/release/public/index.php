<?php
declare(strict_types=1);

/*
 * A guest book: written to the primary, read from the replica.
 *   GET  /            the entries, as a page
 *   GET  /notes       the entries and who answered, as JSON
 *   POST /notes       text=…; answers the new entry's id and where it was written
 *   GET  /visits      how often this session has been here
 *   POST /uploads     file=…; keeps it and answers where it is to be had
 *   GET  /healthz     the release's name: PHP works (no database, so that its failure takes no server out)
 *   GET  /readyz      200 when both databases answer too
 */
require __DIR__ . '/../src/Databases.php';
require __DIR__ . '/../src/visitors.php';

$release = trim(file_get_contents(__DIR__ . '/../RELEASE'));
$server = gethostname();
header("X-Served-By: $server");
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

if ($path === '/healthz') {
    header('Content-Type: text/plain');
    exit("$release\n");
}

if ($path === '/visits') {
    json(200, ['visits' => count_visit(), 'server' => $server, 'release' => $release]);
}
if ($path === '/uploads' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    $name = keep_upload($_FILES['file'] ?? [], __DIR__ . '/../../../shared/uploads');
    json($name === null ? 422 : 201, $name === null ? ['error' => 'no file arrived whole'] : ['path' => "/uploads/$name", 'server' => $server, 'release' => $release]);
}

$config = json_decode(file_get_contents(__DIR__ . '/../../../shared/config.json'), true, flags: JSON_THROW_ON_ERROR);
$databases = new Databases($config);

function json(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($body, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE) . "\n");
}

try {
    if ($path === '/readyz') {
        json(200, ['primary' => $databases->primary()->name(), 'replica' => $databases->replica()->name()]);
    }
    if ($path === '/notes' && $_SERVER['REQUEST_METHOD'] === 'POST') {
        $text = trim((string) ($_POST['text'] ?? ''));
        if ($text === '' || mb_strlen_utf8($text) > 500) {
            json(422, ['error' => 'text must have 1 to 500 characters']);
        }
        $database = $databases->primary();
        $id = $database->insert('INSERT INTO notes (text, server) VALUES (?, ?)', [$text, $server]);
        // For a few seconds the writer reads where it wrote: the replica may be a moment behind.
        setcookie('wrote', '1', ['expires' => time() + $config['read_own_writes'], 'httponly' => true, 'samesite' => 'Lax']);
        if (str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'text/html')) {
            http_response_code(303);
            header('Location: /');
            exit;
        }
        json(201, ['id' => $id, 'server' => $server, 'release' => $release, 'database' => $database->name()]);
    }
    if ($path !== '/' && $path !== '/notes') {
        json(404, ['error' => 'not found']);
    }
    $database = isset($_COOKIE['wrote']) ? $databases->primary() : $databases->replica();
    $notes = $database->rows('SELECT id, text, server, written FROM notes ORDER BY id DESC LIMIT 20');
    $answer = ['server' => $server, 'release' => $release, 'database' => $database->name(), 'client' => $_SERVER['REMOTE_ADDR'], 'notes' => $notes];
    if ($path === '/notes') {
        json(200, $answer);
    }
    require __DIR__ . '/../src/page.php';
} catch (mysqli_sql_exception $error) {
    error_log($error->getMessage());
    json(503, ['error' => 'the database does not answer', 'server' => $server, 'release' => $release]);
}

/** Characters of UTF-8 text, without the mbstring extension; broken text counts as too long. */
function mb_strlen_utf8(string $text): int
{
    $count = preg_match_all('/./us', $text);
    return $count === false ? PHP_INT_MAX : $count;
}
