//! The forms of a report, one table.

use std::fmt;

use super::{Colours, Dialect, Report, csv, html, json, junit, markdown, open_reports, sarif, table};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// For people at a terminal.
    Text,
    /// For programs: `flamewarden.dev/audit/v1alpha1`.
    Json,
    /// For code hosts: SARIF 2.1.0.
    Sarif,
    /// For CI servers: JUnit XML, a test suite per object.
    Junit,
    /// For spreadsheets: a line per finding (RFC 4180).
    Csv,
    /// For merge requests: Markdown with tables.
    Markdown,
    /// For everybody: one file without scripts, to be read, mailed and printed.
    Html,
    /// For tools that read OpenReports: a list of `Report` and `ClusterReport` objects.
    OpenReports,
    /// For tools that read what came before them: `PolicyReport` and `ClusterPolicyReport` objects.
    PolicyReports,
}

/// Why a report cannot be written in a form.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report as {form}")]
pub struct FormProblem {
    form: Form,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Form {
    /// All forms, as they are named on the command line and in links, with their media types.
    pub const ALL: &[(Form, &str, &str)] = &[
        (Form::Text, "text", "text/plain; charset=utf-8"),
        (Form::Json, "json", "application/json"),
        (Form::Sarif, "sarif", "application/sarif+json"),
        (Form::Junit, "junit", "application/xml"),
        (Form::Csv, "csv", "text/csv; charset=utf-8"),
        (Form::Markdown, "markdown", "text/markdown; charset=utf-8"),
        (Form::Html, "html", "text/html; charset=utf-8"),
        (Form::OpenReports, "openreports", "application/json"),
        (Form::PolicyReports, "policyreports", "application/json"),
    ];

    /// The form of that name.
    pub fn named(name: &str) -> Option<Form> {
        Form::ALL.iter().find(|(_, known, _)| *known == name).map(|(form, ..)| *form)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Form, &'static str, &'static str) {
        // Every form has a row; a test holds it.
        Form::ALL.iter().find(|(form, ..)| *form == self).unwrap_or(&(Form::Text, "text", "text/plain"))
    }

    /// A report in this form; colours go into text alone.
    ///
    /// # Errors
    /// What writes the form failed.
    pub fn of(self, report: &Report, colours: Colours) -> Result<String, FormProblem> {
        let problem = |source| FormProblem { form: self, source };
        match self {
            Form::Text => Ok(table::text(report, colours)),
            Form::Json => json::json(report).map_err(|cause| problem(cause.into())),
            Form::Sarif => sarif::sarif(report).map_err(|cause| problem(cause.into())),
            Form::Junit => junit::junit(report).map_err(|cause| problem(cause.into())),
            Form::Csv => csv::csv(report).map_err(problem),
            Form::Markdown => Ok(markdown::markdown(report)),
            Form::Html => html::html(report).map_err(|cause| problem(cause.into())),
            Form::OpenReports => {
                open_reports::list(report, Dialect::OpenReports).map_err(|cause| problem(cause.into()))
            }
            Form::PolicyReports => {
                open_reports::list(report, Dialect::PolicyReports).map_err(|cause| problem(cause.into()))
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
