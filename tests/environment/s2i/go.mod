module b2i.test/s2i

go 1.23.3

require github.com/openshift/source-to-image v1.5.1
