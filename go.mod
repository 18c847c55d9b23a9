module github.com/asyncapi-impl/asyncapi-impl

go 1.26.0
