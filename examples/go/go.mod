module dagger/example

go 1.25.0
