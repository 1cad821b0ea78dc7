// Writes a small vulnerability database for tests with Grype's own writer.
//
// database FOLDER < ADVISORIES: what is read is one JSON document in the form of the type Content.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	db "github.com/anchore/grype/grype/db/v6"
)

// Content is all that the database says.
type Content struct {
	Built      time.Time            `json:"built"`
	Providers  map[string]time.Time `json:"providers"`
	Advisories []Advisory           `json:"advisories"`
}

// Advisory is one vulnerability of one package.
type Advisory struct {
	ID             string   `json:"id"`
	Provider       string   `json:"provider"`
	Ecosystem      string   `json:"ecosystem"`
	Package        string   `json:"package"`
	Distribution   string   `json:"distribution"`
	Release        string   `json:"release"`
	Kind           string   `json:"kind"`
	Constraint     string   `json:"constraint"`
	Severity       string   `json:"severity"`
	Vector         string   `json:"vector"`
	FixState       string   `json:"fixState"`
	FixVersion     string   `json:"fixVersion"`
	EPSS           float64  `json:"epss"`
	KnownExploited bool     `json:"knownExploited"`
	Aliases        []string `json:"aliases"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: database FOLDER < ADVISORIES")
	}
	var content Content
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&content); err != nil {
		log.Fatalf("cannot read the advisories: %v", err)
	}
	if err := write(os.Args[1], content); err != nil {
		log.Fatalf("cannot write the database: %v", err)
	}
}

func write(folder string, content Content) error {
	store, err := db.NewWriter(db.Config{DBDirPath: folder})
	if err != nil {
		return err
	}
	if err := store.SetDBMetadata(); err != nil {
		return err
	}
	for name := range content.Providers {
		if err := store.AddProvider(*provider(content, name)); err != nil {
			return err
		}
	}
	for _, advisory := range content.Advisories {
		if err := add(store, content, advisory); err != nil {
			return err
		}
	}
	if err := store.Close(); err != nil {
		return err
	}
	return date(folder, content.Built)
}

func add(store db.Writer, content Content, advisory Advisory) error {
	vulnerability := db.VulnerabilityHandle{
		Name:      advisory.ID,
		Status:    db.VulnerabilityActive,
		Provider:  provider(content, advisory.Provider),
		BlobValue: &db.VulnerabilityBlob{ID: advisory.ID, Aliases: advisory.Aliases, Severities: severities(advisory)},
	}
	if err := store.AddVulnerabilities(&vulnerability); err != nil {
		return err
	}
	affected := db.AffectedPackageHandle{
		Vulnerability: &vulnerability,
		Package:       &db.Package{Ecosystem: advisory.Ecosystem, Name: advisory.Package},
		BlobValue: &db.PackageBlob{
			CVEs: []string{advisory.ID},
			Ranges: []db.Range{{
				Version: db.Version{Type: advisory.Kind, Constraint: advisory.Constraint},
				Fix:     &db.Fix{State: db.FixStatus(advisory.FixState), Version: advisory.FixVersion},
			}},
		},
	}
	if advisory.Distribution != "" {
		affected.OperatingSystem = &db.OperatingSystem{
			Name: advisory.Distribution, ReleaseID: advisory.Distribution, MajorVersion: advisory.Release,
		}
	}
	if err := store.AddAffectedPackages(&affected); err != nil {
		return err
	}
	return decorate(store, content, advisory)
}

// decorate adds what is known of a vulnerability's use by attackers.
func decorate(store db.Writer, content Content, advisory Advisory) error {
	if advisory.EPSS > 0 {
		likely := db.EpssHandle{Cve: advisory.ID, Epss: advisory.EPSS, Percentile: advisory.EPSS, Date: content.Built}
		if err := store.AddEpss(&likely); err != nil {
			return err
		}
	}
	if !advisory.KnownExploited {
		return nil
	}
	return store.AddKnownExploitedVulnerabilities(&db.KnownExploitedVulnerabilityHandle{
		Cve:       advisory.ID,
		BlobValue: &db.KnownExploitedVulnerabilityBlob{Cve: advisory.ID},
	})
}

func provider(content Content, name string) *db.Provider {
	captured := content.Providers[name]
	return &db.Provider{
		ID: name, Version: "1", Processor: "test", DateCaptured: &captured, InputDigest: "xxh64:0000000000000000",
	}
}

func severities(advisory Advisory) []db.Severity {
	found := []db.Severity{}
	if advisory.Severity != "" {
		found = append(found, db.Severity{Scheme: db.SeveritySchemeCHMLN, Value: advisory.Severity, Rank: 1})
	}
	if advisory.Vector != "" {
		value := db.CVSSSeverity{Vector: advisory.Vector, Version: "3.1"}
		found = append(found, db.Severity{Scheme: db.SeveritySchemeCVSS, Value: value, Rank: 2})
	}
	return found
}

// date says when the database was built; the writer itself takes the present.
func date(folder string, built time.Time) error {
	store, err := db.NewLowLevelDB(folder+"/"+db.VulnerabilityDBFileName, false, true, false)
	if err != nil {
		return err
	}
	return store.Model(&db.DBMetadata{}).Where("1 = 1").Update("build_timestamp", built.UTC()).Error
}
