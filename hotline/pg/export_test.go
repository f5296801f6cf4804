package pg

// MigrateFiles is Migrate with files of the test's own.
var MigrateFiles = migrate
