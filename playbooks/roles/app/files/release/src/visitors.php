<?php
declare(strict_types=1);

/** How often the visitor's session has been here. It is PHP's own, in the folder that outlives releases. */
function count_visit(): int
{
    session_start();
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    session_write_close();
    return $_SESSION['visits'];
}

/** Keeps an uploaded file under a name of our own; null when none arrived. */
function keep_upload(array $file, string $folder): ?string
{
    if (($file['error'] ?? UPLOAD_ERR_NO_FILE) !== UPLOAD_ERR_OK) {
        return null;
    }
    $name = bin2hex(random_bytes(16));
    return move_uploaded_file($file['tmp_name'], "$folder/$name") ? $name : null;
}
