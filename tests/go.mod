module dagger/tests

go 1.25.0
